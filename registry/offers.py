"""From the offers in a registration to contracts that were read and verified."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from plugmesh.contracts.base import PROTOCOL
from plugmesh.contracts.instance import Offer
from plugmesh.contracts.module import ModuleContract, contract_key
from plugmesh.errors import ContractRefused, PlugmeshError
from plugmesh.objects.port import ObjectStore

CONTRACT_LIMIT_BYTES = 1024 * 1024


def read_contracts(store: ObjectStore, offers: Iterable[Offer]) -> dict[Offer, ModuleContract | str]:
    """The contract of each offer, or why it cannot be used. Blocking; one bad object does not harm the others."""
    return {offer: _read(store, offer) for offer in offers}


def mismatch(offer: Offer, contract: ModuleContract) -> str | None:
    """Why `contract` is not what `offer` announced."""
    if (contract.name, contract.version) != (offer.name, offer.version):
        return f"its contract is that of {contract.ref}"
    # Another minor version of Plugmesh may write fields that this one does not know: the sums then differ rightly.
    if contract.v == PROTOCOL and contract.digest != offer.digest:
        return f"its contract has digest {contract.digest}, but {offer.digest} was announced"
    return None


def contract_in(data: memoryview) -> ModuleContract:
    """The contract in these bytes. Raises `ContractRefused` if it is too large, `ValidationError` if it is none."""
    if len(data) > CONTRACT_LIMIT_BYTES:
        raise ContractRefused(f"it has {len(data)} bytes, the limit is {CONTRACT_LIMIT_BYTES}")
    return ModuleContract.model_validate_json(bytes(data))


def _read(store: ObjectStore, offer: Offer) -> ModuleContract | str:
    key = contract_key(offer.digest)
    try:
        contract = contract_in(store.read(key))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"its contract {key} cannot be read at {'.'.join(map(str, first['loc']))!r}: {first['msg']}"
    except (PlugmeshError, OSError, ValueError) as error:
        return f"its contract {key} cannot be read: {error}"
    return mismatch(offer, contract) or contract

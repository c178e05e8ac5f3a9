"""A mesh of several processes on real servers, for the demo, the benchmark, chaos and tests.

with new_servers(folder) as servers, room(addresses_of(servers)) as urls, RealMesh(folder, urls) as mesh:
    mesh.gateway()
    first, second = mesh.scheduler(), mesh.scheduler()
    mesh.modules("my_modules.py", slots=2)
    mesh.wait_until_ready()
    first.kill()
"""

from scripts.real_mesh.asked import NotReady, Refused
from scripts.real_mesh.member import Ended, Member
from scripts.real_mesh.mesh import RealMesh
from scripts.real_mesh.room import Urls, room
from scripts.real_mesh.servers import addresses_of, new_servers, running_servers

__all__ = [
    "Ended",
    "Member",
    "NotReady",
    "RealMesh",
    "Refused",
    "Urls",
    "addresses_of",
    "new_servers",
    "room",
    "running_servers",
]

"""The SQL functions that an expression may call: pure ones, whose result depends on their arguments alone.

A list of what is allowed, not of what is forbidden: a new version of DuckDB adds functions, and none of them is
allowed before somebody has looked at it. Left out are those that read files or settings (`read_text`,
`current_setting`), differ from call to call (`random`, `now`, `uuid`), change the number of rows (`unnest`), run SQL
(`query`, `json_serialize_sql`), wait (`sleep_ms`), or make a long value from a short one (`repeat`, `range`).
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


GROUPS: dict[str, str] = {
    "numbers": """
        abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees even exp factorial floor fmod
        gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least least_common_multiple lgamma ln log
        log10 log2 mod nextafter pi pow power radians round round_even sign signbit sin sinh sqrt tan tanh trunc xor
        bit_count add subtract multiply divide fdiv
    """,
    "text": """
        ascii bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein editdist3
        ends_with format hamming instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme len
        length length_grapheme levenshtein lower lpad ltrim md5 mismatches nfc_normalize octet_length ord overlay
        position prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
        regexp_replace regexp_split_to_array replace reverse right right_grapheme rpad rtrim sha1 sha256 split
        split_part starts_with str_split str_split_regex string_split string_split_regex string_to_array
        strip_accents strlen strpos substr substring substring_grapheme suffix to_base translate trim ucase unicode
        upper url_decode url_encode bar format_bytes parse_filename parse_dirname parse_dirpath parse_path
        like_escape ilike_escape not_like_escape not_ilike_escape
    """,
    "bytes": "base64 to_base64 from_base64 hex to_hex unhex from_hex bin to_binary unbin from_binary encode decode hash",
    "dates and times": """
        century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
        dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isodow isoyear
        julian last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz
        microsecond millennium millisecond minute month monthname nanosecond quarter second strftime strptime
        time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
        to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years
        try_strptime week weekday weekofyear year yearweek
    """,
    "choices": "if nullif switch constant_or_null typeof row",
    "lists": """
        aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
        array_distinct array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof
        array_intersect array_length array_pop_back array_pop_front array_position array_prepend array_push_back
        array_push_front array_reduce array_reverse array_reverse_sort array_select array_slice array_sort
        array_to_string array_transform array_unique array_value array_where array_zip cardinality element_at filter
        flatten list_aggr list_aggregate list_any_value list_append list_apply list_avg list_bool_and list_bool_or
        list_cat list_concat list_contains list_count list_distinct list_element list_extract list_filter list_first
        list_grade_up list_has list_has_all list_has_any list_indexof list_intersect list_last list_max list_median
        list_min list_mode list_pack list_position list_prepend list_product list_reduce list_resize list_reverse
        list_reverse_sort list_select list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum
        list_transform list_unique list_value list_var_pop list_var_samp list_where list_zip reduce
        list_cosine_similarity list_cosine_distance list_distance list_inner_product list_dot_product
    """,
    "structs and maps": """
        map map_concat map_contains map_entries map_extract map_extract_value map_from_entries map_keys map_values
        struct_concat struct_contains struct_extract struct_extract_at struct_has struct_insert struct_keys struct_pack
        struct_position struct_update struct_values
    """,
    "JSON": """
        json_array json_array_length json_contains json_exists json_extract json_extract_path json_extract_path_text
        json_extract_string json_keys json_merge_patch json_object json_quote json_structure json_type json_valid
        json_value to_json array_to_json row_to_json
    """,
}
"""Scalar functions, by what they work on."""

OPERATORS = words("+ - * / // % ** ^ ! !__postfix & | ~ << >> @ || && <-> <=> <@ @> ^@ ->> ~~ !~~ ~~* !~~* ~~~")

AGGREGATES = words(
    """
    any_value approx_count_distinct approx_quantile arg_max arg_max_null arg_min arg_min_null argmax argmin array_agg
    avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop covar_samp entropy
    favg first fsum geomean geometric_mean group_concat histogram kahan_sum kurtosis kurtosis_pop last list listagg mad
    max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop stddev_samp string_agg
    sum sumkahan var_pop var_samp variance wavg weighted_avg
    """
)
"""Functions of many rows; they make sense in `table.aggregate` only."""

UNSTABLE = words(
    """
    current_date current_time current_timestamp gen_random_uuid get_current_time get_current_timestamp localtime
    localtimestamp nextval now random today transaction_timestamp uuid uuidv4 uuidv7
    """
)
"""Functions that give something else each time; listed for a message that says so."""

MANY_ROWS = words("generate_subscripts regexp_split_to_table unnest")
"""Functions that change the number of rows; listed for a message that says so."""

SCALARS = OPERATORS | words(" ".join(GROUPS.values()))
"""Functions of one row."""

-- Of one control in one file: values given, those that are neither numbers nor yes or no, and one of these.
SELECT
    count(*) FILTER (WHERE {given}) AS n_given,
    count(*) FILTER (WHERE {given} AND {number} IS NULL) AS n_unreadable,
    min({text}) FILTER (WHERE {given} AND {number} IS NULL) AS example
FROM {source} AS {row}

SELECT upper({text}) AS code
FROM {source} AS {row}
WHERE NOT regexp_matches({text}, '\d')
GROUP BY code
ORDER BY count(*) DESC, code

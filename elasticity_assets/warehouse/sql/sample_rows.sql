CREATE OR REPLACE TEMP TABLE sampled_rows AS
SELECT {row}.*
FROM {source} AS {row}
USING SAMPLE reservoir({rows} ROWS) REPEATABLE (1)

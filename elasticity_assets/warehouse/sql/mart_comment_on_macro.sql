COMMENT ON MACRO TABLE {database}.main.price_scenario IS {comment}

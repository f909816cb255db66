"""The compatibility matrix: `rows` are layers, `columns` what people do with them, each beside a plain torch layer."""

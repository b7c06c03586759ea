"""Write the tuna sales of R's package bayesm as sales.csv beside this file: 7 brands, 338 weeks, with wholesale prices.

apt-get download r-cran-bayesm && dpkg -x r-cran-bayesm_*.deb bayesm && pip install pyreadr
python examples/tuna/make_sales.py bayesm/usr/lib/R/site-library/bayesm/data/tuna.rda
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadr  # a dependency of this file alone

FIRST_WEEK = np.datetime64("1989-09-14")
BRANDS = range(1, 8)


def main() -> None:
    """Read the file named on the command line, and write sales.csv."""
    tuna = pyreadr.read_r(sys.argv[1])["tuna"]
    brands = [
        pd.DataFrame(
            {
                "category": "canned tuna",
                "product": f"brand {brand}",
                "week": FIRST_WEEK + 7 * (tuna["WEEK"].astype(int).to_numpy() - 1),
                "units": tuna[f"MOVE{brand}"].round(),
                "price": np.exp(tuna[f"LPRICE{brand}"]).round(4),
                "unit_cost": np.exp(tuna[f"LWHPRIC{brand}"]).round(4),
                "display": tuna[f"NSALE{brand}"],
            }
        )
        for brand in BRANDS
    ]
    pd.concat(brands).to_csv(Path(__file__).with_name("sales.csv"), index=False)


if __name__ == "__main__":
    main()

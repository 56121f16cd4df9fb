"""`accelerate launch -m vos_lab.training train CONFIG ...`: the `vos-lab` commands on several GPUs or machines."""

import sys

from ..cli import main

sys.exit(main())

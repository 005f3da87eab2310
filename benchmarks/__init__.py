"""Speed, always as ratios within one run against what a user would otherwise do."""

import os

# The Lambda runtime has no CRT; here it came with the SAM CLI and would change the signing.
os.environ["BOTO_DISABLE_CRT"] = "true"

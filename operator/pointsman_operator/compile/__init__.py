"""From resources to what sidecars are sent: pure, and the same everywhere.

The operator, its status, the standalone command and `pointsman check` all call these functions, so that they cannot
differ in their verdict. No I/O, no clock, no randomness, no Kubernetes client and no event loop may enter.
"""

from pointsman_operator.compile.access import Access, grant_access
from pointsman_operator.compile.budget_messages import budgets_message
from pointsman_operator.compile.budgets import Budget, Member, budget_name, budgets_for, quota_of, terms_of, told_anew
from pointsman_operator.compile.policy import Compiled, compile_policy
from pointsman_operator.compile.providers import check_provider, secret_problems
from pointsman_operator.compile.quotas import check_quota
from pointsman_operator.compile.rate_limits import rate_limits_for
from pointsman_operator.compile.regressions import Regressions, Standing, provider_model, read_regressions
from pointsman_operator.compile.selection import Claim, claim_of, select
from pointsman_operator.compile.selectors import matches

__all__ = [
    "Access",
    "Budget",
    "Claim",
    "Compiled",
    "Member",
    "Regressions",
    "Standing",
    "budget_name",
    "budgets_for",
    "budgets_message",
    "check_provider",
    "check_quota",
    "claim_of",
    "compile_policy",
    "grant_access",
    "matches",
    "provider_model",
    "quota_of",
    "rate_limits_for",
    "read_regressions",
    "secret_problems",
    "select",
    "terms_of",
    "told_anew",
]

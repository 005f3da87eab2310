"""What is believed and no program can try, or none should."""

from operations.acceptance.belief import Belief

_PAGE = "docs/deployment.md"

BELIEFS = (
    Belief(
        "scp-spares-management-account",
        "A service control policy does not bind an organization's management account.",
        _PAGE,
        untried="it takes an organization, and a policy on its accounts",
    ),
    Belief(
        "backup-copies-history",
        "AWS Backup copies backups of the history into another region, whatever its policy says.",
        _PAGE,
        untried="it takes a backup plan with a copy rule, and its first copy",
    ),
    Belief(
        "history-is-never-global",
        "The history can never become a global table: its policy refuses the role that replicates.",
        _PAGE,
        untried="if it is not so, trying it would replicate the history",
    ),
    Belief(
        "history-can-be-imported",
        "A history that stayed can be imported into a new stack by an IMPORT change set.",
        _PAGE,
        untried="it takes a stack that was deleted",
    ),
    Belief(
        "deployer-policy-suffices",
        "The rights of docs/deployer-policy.json are enough to deploy and update the stack.",
        _PAGE,
        untried="it takes a deployment by somebody who has these rights alone",
    ),
    Belief(
        "rollback-leaves-tables-and-key",
        "A first deployment that is rolled back leaves its tables and key; empty buckets go.",
        _PAGE,
        untried="it takes a deployment that fails",
    ),
    Belief(
        "gone-mapping-is-deleted",
        "CloudFormation deletes a mapping that somebody else has deleted without an error.",
        _PAGE,
        untried="it takes a deployment after a mapping was deleted by hand",
    ),
    Belief(
        "replicated-writes-are-counted",
        "The ConsumedWriteCapacityUnits of a table count writes that a global table replicates.",
        _PAGE,
        untried="it takes a global table that is written in another region",
    ),
    Belief(
        "large-record-is-given-up",
        "A record that is too large for Lambda's 6 MB is delivered as failed or counted as "
        "dropped, and its shard goes on.",
        _PAGE,
        untried="it takes an item of hundreds of thousands of values",
    ),
    Belief(
        "deploys-in-govcloud",
        "The stack can be deployed in the GovCloud partition.",
        _PAGE,
        untried="it takes an account of that partition",
    ),
    Belief(
        "cpu-comes-with-memory",
        "A function gets CPU with its memory, all of one at 1,769 MB.",
        _PAGE,
        untried="it takes measurements of functions of several sizes",
    ),
    Belief(
        "athena-reads-the-dataset",
        "Athena takes the definition and the statements that itemtrail query prints for it.",
        "docs/warehouse.md",
        untried="it takes a dataset in S3, and Athena",
    ),
    Belief(
        "mapping-metrics-are-charged",
        "CloudWatch charges the mappings' metrics as any others.",
        _PAGE,
        untried="it is seen in the bill alone",
    ),
)

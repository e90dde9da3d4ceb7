"""What a custom resource must look like, judged offline by the CustomResourceDefinitions themselves.

`validate` gives the verdict and the sentences that `kubectl apply` would bring back from a Kubernetes 1.34 API
server for a resource that is not there yet: the structural schema, its defaults, its CEL rules, and the checks
that Kubernetes makes on every object. `documents` reads files the way kubectl does, `rendered` prints an answer
the way it does.

Not said here is what depends on a cluster (whether the namespace exists, whether an object is there already) and what
depends on size alone: the server's limits on a request and on the cost of evaluating rules, and kubectl's 256 KiB for
the copy of the object that it keeps in an annotation.

Everything here is pure but for `definitions`, which reads the CustomResourceDefinitions that are package data.
Nothing here may import kopf or kubernetes, or know what a field means: meaning is judged by `compile`.
"""

from pointsman_operator.schema.definitions import Definition, Definitions, definitions, definitions_of
from pointsman_operator.schema.documents import Document, UnreadableDocumentError, documents
from pointsman_operator.schema.refusals import Refusal
from pointsman_operator.schema.rendering import rendered
from pointsman_operator.schema.rules import BrokenRuleError
from pointsman_operator.schema.structure import UnsupportedSchemaError
from pointsman_operator.schema.validation import Stage, Validated, validate

__all__ = [
    "BrokenRuleError",
    "Definition",
    "Definitions",
    "Document",
    "Refusal",
    "Stage",
    "UnreadableDocumentError",
    "UnsupportedSchemaError",
    "Validated",
    "definitions",
    "definitions_of",
    "documents",
    "rendered",
    "validate",
]

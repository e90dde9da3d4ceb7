"""The names of span attributes, in one place: OpenTelemetry's conventions for generative AI still move.

Names under `pointsman` are ours; all others are theirs, as the package opentelemetry-semantic-conventions 0.66b2 has
them.
"""

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"

RPC_SYSTEM_NAME = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_RESPONSE_STATUS_CODE = "rpc.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_ROUTE = "http.route"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
NAMESPACE_NAME = "k8s.namespace.name"

DECISION_ID = "pointsman.decision.id"
POLICY = "pointsman.policy.name"
POLICY_GENERATION = "pointsman.policy.generation"
ROUTE = "pointsman.route"
MODEL = "pointsman.model"
PROVIDER = "pointsman.provider"
REASON = "pointsman.reason"
OUTCOME = "pointsman.outcome"
COST_AMOUNT = "pointsman.cost.amount"
COST_CURRENCY = "pointsman.cost.currency"

OPENAI = "openai"
GRPC = "grpc"

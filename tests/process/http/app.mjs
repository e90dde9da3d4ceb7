// An app in JavaScript that knows OpenAI's client and nothing of Pointsman. Says what it got as one line of JSON.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: "What is the weather?" }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { enum: ["Oslo"] } }, required: ["city"] },
    },
  },
];
const schema = {
  type: "json_schema",
  json_schema: {
    name: "invoice",
    strict: true,
    schema: {
      type: "object",
      properties: { total: { type: "number" } },
      required: ["total"],
      additionalProperties: false,
    },
  },
};

async function text(stream) {
  let said = "";
  for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? "";
  return said;
}

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null };
  }
  return null;
}

const whole = await client.chat.completions.create({ model: "gpt-4o", messages }).withResponse();
const stream = await client.chat.completions.create({ model: "gpt-4o", messages, stream: true });
const called = await client.chat.completions.create({ model: "gpt-4o", messages, tools });
const parsed = await client.chat.completions.parse({ model: "gpt-4o", messages, response_format: schema });
const accumulated = await client.chat.completions.stream({ model: "gpt-4o", messages, tools }).finalChatCompletion();
const response = await client.responses.create({ model: "gpt-4o", input: "Hi" });
let responseText = "";
for await (const event of await client.responses.create({ model: "gpt-4o", input: "Hi", stream: true })) {
  if (event.type === "response.output_text.delta") responseText += event.delta;
}
const embedding = await client.embeddings.create({ model: "embed", input: "one" });
const models = [];
for await (const model of client.models.list()) models.push(model.id);

// The provider's larger model falls silent in the middle of its answers.
const severe = { "x-pointsman-severity": "high" };
const abort = new AbortController();
const held = await client.chat.completions.create(
  { model: "gpt-4o", messages, stream: true },
  { signal: abort.signal, headers: severe },
);
let chunks = 0;
for await (const _ of held) {
  chunks += 1;
  abort.abort();
}

console.log(
  JSON.stringify({
    whole: whole.data.choices[0].message.content,
    model: whole.response.headers.get("x-pointsman-model"),
    requestId: whole.request_id === whole.response.headers.get("x-pointsman-decision-id"),
    streamed: await text(stream),
    call: called.choices[0].message.tool_calls[0].function,
    total: typeof parsed.choices[0].message.parsed.total,
    accumulated: accumulated.choices[0].message.tool_calls[0].function.arguments,
    response: response.output_text,
    responseStreamed: responseText,
    embedding: embedding.data[0].embedding.length,
    models,
    chunksBeforeAbort: chunks,
    badRequest: await failure(() => client.chat.completions.create({ model: "auto", messages: [] })),
    notFound: await failure(() => client.models.retrieve("gpt-9")),
    refused: await failure(() => client.responses.create({ model: "auto", input: "Hi", previous_response_id: "x" })),
    timeout: await failure(() =>
      client.chat.completions.create({ model: "auto", messages }, { timeout: 300, headers: severe }),
    ),
  }),
);

// Run by Node with openai and the AI SDK: what a user of them would do.
// `node node_client.mjs BASE_URL MODEL`; prints one JSON object of what came back.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const found = {};
const parameters = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
  additionalProperties: false,
};

// openai-node
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const input = "3+4?";
const functions = [{ type: "function", name: "add", parameters, strict: true }];
const first = await client.responses.create({ model, input, tools: functions });
const [call] = first.output.filter((item) => item.type === "function_call");
const output = { type: "function_call_output", call_id: call.call_id, output: "7" };
const later = { model, tools: functions, input: [output], previous_response_id: first.id };
found.node = [JSON.parse(call.arguments), (await client.responses.create(later)).output_text];
const events = client.responses.stream(later);
let text = "";
events.on("response.output_text.delta", (event) => (text += event.delta));
const final = await events.finalResponse();
found.nodeStream = [text, final.output_text];
found.nodeUnknown = await client.responses
  .create({ model: "gpt", input })
  .catch((error) => [error.status, error.code]);
const leaving = new AbortController();
setTimeout(() => leaving.abort(), 300);
found.nodeAborted = await client.responses
  .create({ model: "slow", input }, { signal: leaving.signal })
  .catch((error) => error.constructor.name);

// The AI SDK: openai() asks the Responses API, and names what it was sent by its id
const openai = createOpenAI({ baseURL, apiKey: "none" });
const add = tool({ inputSchema: jsonSchema(parameters), execute: ({ a, b }) => a + b });
const asked = { model: openai(model), tools: { add }, stopWhen: stepCountIs(3), maxRetries: 0 };
const whole = await generateText({ ...asked, prompt: input });
found.ai = [whole.text, whole.steps.length, whole.usage.outputTokens > 0];
const messages = [
  { role: "user", content: input },
  ...whole.response.messages,
  { role: "user", content: "And 5?" },
];
found.aiLater = (await generateText({ ...asked, messages })).text;
const streamed = streamText({ ...asked, prompt: input });
let said = "";
for await (const piece of streamed.textStream) said += piece;
found.aiStream = [said, (await streamed.steps).length, await streamed.finishReason];
const providerOptions = { openai: { store: false } };
found.aiStateless = (await generateText({ ...asked, messages, providerOptions })).text;
found.aiUnknown = await generateText({ ...asked, model: openai("gpt"), prompt: input }).catch(
  (error) => error.statusCode,
);
console.log(JSON.stringify(found));

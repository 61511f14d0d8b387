// The request as a program. The key is named, never written.

import { key } from "./api.js";

const base = () => `${location.origin}/v1`;

export function curl(body) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const auth = key.get() ? ` \\\n  -H "authorization: Bearer $ITS_KEY"` : "";
  return `curl ${base()}/chat/completions${auth} \\\n  -H 'content-type: application/json' \\\n  -d '${quoted}'\n`;
}

export function python(body) {
  const { model, messages, input_time: extras, ...rest } = body;
  const secret = key.get() ? 'os.environ["ITS_KEY"]' : '"none"';
  const lines = [
    `model=${literal(model)},`, `messages=${literal(messages)},`,
    ...Object.entries(rest).map(([name, value]) => `${name}=${literal(value)},`),
    `extra_body=${literal({ input_time: { ...extras, return_ballots: true } })},`,
  ];
  return `${key.get() ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${literal(base())}, api_key=${secret})
answer = client.chat.completions.create(
${lines.map((text) => `    ${text}`).join("\n")}
)
print(answer.choices[0].message.content)
print(answer.model_extra["input_time"])
`;
}

// A JSON value as Python writes it.
function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${literal(k)}: ${literal(v)}`).join(", ")}}`;
  return JSON.stringify(value);
}

// The official JavaScript client, given nothing but OPENAI_BASE_URL and OPENAI_API_KEY. Prints one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: "[[say:Hello there, friend]]" }];
const seen = {};

const reply = await client.chat.completions.create({ model: "gpt-4o-mini", messages });
seen.chat = reply.choices[0].message.content;
seen.model = reply.model;

seen.streamed = "";
for await (const chunk of await client.chat.completions.create({ model: "gpt-4o", messages, stream: true })) {
  seen.streamed += chunk.choices[0]?.delta?.content ?? "";
}

const runner = client.chat.completions.stream({ model: "gpt-4o", messages });
seen.helper = await runner.finalContent();

const tool = { type: "function", function: { name: "look", parameters: { type: "object", properties: { where: { type: "string" } }, required: ["where"] } } };
const called = await client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "look" }], tools: [tool], tool_choice: "required" });
seen.tool = called.choices[0].message.tool_calls[0].function.name;
seen.arguments = typeof JSON.parse(called.choices[0].message.tool_calls[0].function.arguments).where;

seen.completion = (await client.completions.create({ model: "davinci-codex", prompt: "[[say:one two]]" })).choices[0].text;
seen.dimensions = (await client.embeddings.create({ model: "text-embedding-3-small", input: "one" })).data[0].embedding.length;
seen.models = (await client.models.list()).data.map((model) => model.id);

try {
  await client.chat.completions.create({ model: "gpt-4o", messages, temperature: 9 });
} catch (error) {
  seen.error = [error instanceof OpenAI.BadRequestError, error.param, error.code];
}

const controller = new AbortController();
const stream = await client.chat.completions.create(
  { model: "gpt-4o", messages: [{ role: "user", content: "[[tokens:500]] [[delay_ms:10]]" }], stream: true },
  { signal: controller.signal },
);
seen.aborted = 0;
for await (const _ of stream) {
  if (++seen.aborted === 3) controller.abort();
}

console.log(JSON.stringify(seen));

"""Every resource of the 0.28 client that this server has, plain and streamed, sync and async. Prints what came as one JSON object."""

import asyncio
import json

import openai

MESSAGES = [{"role": "user", "content": "[[say:Good morning to you]]"}]
PROMPT = "[[say:one two three]]"


def text_of(chunks):
    return "".join(chunk.choices[0].text for chunk in chunks)


def talk_of(chunks):
    return "".join(chunk.choices[0].delta.get("content") or "" for chunk in chunks)


def synchronous():
    completion = openai.Completion.create(engine="davinci-codex", prompt=PROMPT, max_tokens=20, logprobs=2, user="me")
    by_model = openai.Completion.create(model="text-davinci-003", prompt=[PROMPT, PROMPT], n=2, max_tokens=20)
    chat = openai.ChatCompletion.create(model="gpt-3.5-turbo", messages=MESSAGES)
    embedding = openai.Embedding.create(model="text-embedding-ada-002", input=["a", "b"])
    engine_embedding = openai.Embedding.create(engine="text-embedding-ada-002", input="a")
    edit = openai.Edit.create(model="text-davinci-edit-001", input="wek", instruction="[[say:week]]", n=2)
    models = openai.Model.list()
    engines = openai.Engine.list()
    return {
        "completion": completion.choices[0].text,
        "model": completion.model,
        "tokens": completion.choices[0].logprobs.tokens,
        "offsets": completion.choices[0].logprobs.text_offset,
        "by_model": [choice.text for choice in by_model.choices],
        "completion_stream": text_of(openai.Completion.create(engine="davinci-codex", prompt=PROMPT, max_tokens=20, stream=True)),
        "chat": chat.choices[0].message.content,
        "chat_engine": openai.ChatCompletion.create(engine="gpt-4", messages=MESSAGES).choices[0].message.content,
        "chat_stream": talk_of(openai.ChatCompletion.create(model="gpt-4", messages=MESSAGES, stream=True)),
        "embedding": [len(one.embedding) for one in embedding.data],
        "engine_embedding": len(engine_embedding.data[0].embedding),
        "edit": [choice.text for choice in edit.choices],
        "edit_object": edit.object,
        "models": [model.id for model in models.data],
        "retrieved": openai.Model.retrieve("fake:chat").id,
        "alias": openai.Model.retrieve("gpt-4").id,
        "engines": [(engine.id, engine.ready) for engine in engines.data],
        "engine": openai.Engine.retrieve("davinci-codex").id,
    }


async def asynchronous():
    completion = await openai.Completion.acreate(engine="davinci-codex", prompt=PROMPT, max_tokens=20)
    chat = await openai.ChatCompletion.acreate(model="gpt-3.5-turbo", messages=MESSAGES)
    embedding = await openai.Embedding.acreate(model="text-embedding-ada-002", input="a")
    edit = await openai.Edit.acreate(model="code-davinci-edit-001", input="wek", instruction="[[say:week]]")
    stream = await openai.Completion.acreate(engine="davinci-codex", prompt=PROMPT, max_tokens=20, stream=True)
    talk = await openai.ChatCompletion.acreate(model="gpt-4", messages=MESSAGES, stream=True)
    return {
        "completion": completion.choices[0].text,
        "completion_stream": text_of([chunk async for chunk in stream]),
        "chat": chat.choices[0].message.content,
        "chat_stream": talk_of([chunk async for chunk in talk]),
        "embedding": len(embedding.data[0].embedding),
        "edit": edit.choices[0].text,
        "models": [model.id for model in (await openai.Model.alist()).data],
        "engines": [engine.id for engine in (await openai.Engine.alist()).data],
    }


def error_of(call):
    try:
        call()
    except openai.error.OpenAIError as error:
        return [type(error).__name__, error.http_status, error.code, getattr(error, "param", None)]
    return None


def errors():
    complete = openai.Completion.create
    return {
        "key": error_of(lambda: complete(engine="davinci-codex", prompt="a", api_key="sk-wrong-000000000000")),
        "model": error_of(lambda: complete(engine="no-such-model", prompt="a")),
        "parameter": error_of(lambda: complete(engine="davinci-codex", prompt="a", max_tokens=-1)),
        "unknown": error_of(lambda: complete(engine="davinci-codex", prompt="a", no_such_parameter=1)),
        "delete": error_of(lambda: openai.Model.delete("no-such-model")),
        "engine": error_of(lambda: openai.Engine.retrieve("no-such-engine")),
        "crash": error_of(lambda: complete(engine="davinci-codex", prompt="[[error:500]]")),
    }


print(json.dumps({"sync": synchronous(), "async": asyncio.run(asynchronous()), "errors": errors()}))

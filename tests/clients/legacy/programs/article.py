"""The program as it was published, but that key and address come from the environment."""

import openai


def classify_text(text):
    response = openai.Completion.create(
        engine="davinci-codex",
        prompt=f"Classify the following text into one of two categories: 1. positive, 2. negative: {text}",
        max_tokens=50,
    )
    return response.choices[0].text


print(classify_text("This movie is amazing!"))

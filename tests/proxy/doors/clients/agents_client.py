"""Run by an interpreter with openai-agents: what a user of it would do.

`python agents_client.py BASE_URL MODEL...`; prints what came back for each model, as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import openai
from agents import (
    Agent,
    ModelSettings,
    RunConfig,
    Runner,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def main(base_url: str, *models: str) -> dict[str, Any]:
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0)
    set_default_openai_client(client, use_for_tracing=False)
    set_tracing_disabled(True)
    found: dict[str, Any] = {model: await asked(model) for model in models}
    try:
        await Runner.run(Agent(name="b", model="gpt"), "3+4?")
    except openai.NotFoundError as error:
        found["unknown"] = error.code
    try:
        await asyncio.wait_for(Runner.run(Agent(name="c", model="slow"), "3+4?"), 0.5)
    except TimeoutError:
        found["left"] = True
    await client.close()
    return found


async def asked(model: str) -> dict[str, Any]:
    tools: Any = [function_tool(add)]
    agent = Agent(name="a", instructions="Be brief.", model=model, tools=tools)
    found: dict[str, Any] = {}
    result = await Runner.run(agent, "3+4?")
    found["whole"] = [type(item).__name__ for item in result.new_items], result.final_output
    streamed = Runner.run_streamed(agent, "3+4?")
    kinds = [event.data.type async for event in streamed.stream_events()
             if event.type == "raw_response_event"]  # fmt: skip
    found["streamed"] = kinds.count("response.completed"), streamed.final_output
    talk = [*result.to_input_list(), {"role": "user", "content": "And 5?"}]
    found["later"] = (await Runner.run(agent, talk)).final_output
    chained = await Runner.run(agent, "And 5?", previous_response_id=result.last_response_id)
    found["chained"] = chained.final_output
    stateless = RunConfig(model_settings=ModelSettings(store=False))
    found["stateless"] = (await Runner.run(agent, talk, run_config=stateless)).final_output
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))

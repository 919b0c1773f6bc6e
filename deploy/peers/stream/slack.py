"""Slack: answers commands in the acknowledgement, mentions as the bot, and buttons by their
response_url. Of the framework's clients, this is the one that uses TLS on every port."""

import asyncio

from slack_bolt import BoltResponse
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from peer import echo, fails, settings, url


def text_of(event):
    return event["text"].partition(" ")[2]


async def main():
    app = AsyncApp(client=AsyncWebClient(token=settings["SlackBotToken"], base_url=url + "/api/"))

    @app.use
    async def refuse(body, next):
        if "event" in body and fails(text_of(body["event"])):
            return BoltResponse(status=500)  # without an acknowledgement it comes again
        return await next()

    @app.command("/chatconf")
    async def command(ack, command):
        await ack(echo(command["text"]))

    @app.event("app_mention")
    async def mention(event, say):
        await say(echo(text_of(event)))

    @app.action("run")
    async def button(ack, action, respond):
        await ack()
        await respond(echo(action["value"]))

    await AsyncSocketModeHandler(app, settings["SlackAppToken"]).start_async()


asyncio.run(main())

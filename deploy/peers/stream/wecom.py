"""WeCom: answers messages over the connection, and a card's button by another card."""

import asyncio
import ssl

import aibot.ws
from aibot import WSClient, WSClientOptions

from peer import echo, settings, url


aibot.ws._SSL_CONTEXT = ssl.create_default_context()  # the client trusts only the roots of certifi


async def main():
    client = WSClient(WSClientOptions(
        bot_id=settings["WeChatBotId"], secret=settings["WeChatBotSecret"], ws_url=url.replace("https", "wss"),
        reconnect_interval=100))

    async def message(frame):
        text = frame["body"]["text"]["content"].partition(" ")[2]
        await client.reply_stream(frame, "stream-" + frame["body"]["msgid"], echo(text), True)

    async def button(frame):
        key = frame["body"]["event"]["template_card_event"]["event_key"]
        await client.update_template_card(frame, {"card_type": "text_notice", "main_title": {"title": echo(key)}})

    client.on("message.text", message)
    client.on("event.template_card_event", button)
    await client.connect()
    await asyncio.Event().wait()


asyncio.run(main())

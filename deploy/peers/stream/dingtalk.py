"""DingTalk: answers messages by their sessionWebhooks, and cards with new values."""

import json
import os

from peer import echo, fails, settings, url

os.environ["DINGTALK_OPENAPI_ENDPOINT"] = url  # the client reads it when it is imported

import dingtalk_stream  # noqa: E402
from dingtalk_stream import AckMessage, CallbackHandler, ChatbotHandler, ChatbotMessage  # noqa: E402


class Robot(ChatbotHandler):
    async def process(self, callback):
        message = ChatbotMessage.from_dict(callback.data)
        text = message.text.content.strip()
        if fails(text):
            return AckMessage.STATUS_SYSTEM_EXCEPTION, "not this time"
        self.reply_text(echo(text), message)
        return AckMessage.STATUS_OK, "OK"


class Card(CallbackHandler):
    async def process(self, callback):
        command = json.loads(callback.data["content"])["cardPrivateData"]["params"]["command"]
        return AckMessage.STATUS_OK, {"userPrivateData": {"cardParamMap": {"answer": echo(command)}}}


client = dingtalk_stream.DingTalkStreamClient(
    dingtalk_stream.Credential(settings["DingTalkClientId"], settings["DingTalkClientSecret"]))
client.register_callback_handler(ChatbotMessage.TOPIC, Robot())
client.register_callback_handler(CallbackHandler.TOPIC_CARD_CALLBACK, Card())
client.start_forever()

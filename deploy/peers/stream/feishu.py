"""Feishu: answers messages by replies, cards with toasts, and items of the menu by messages."""

import json

import lark_oapi as lark
from lark_oapi.api.im.v1 import (CreateMessageRequest, CreateMessageRequestBody, ReplyMessageRequest,
                                 ReplyMessageRequestBody)
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse

from peer import echo, fails, settings, url

app, secret = settings["FeishuAppId"], settings["FeishuAppSecret"]
messages = lark.Client.builder().app_id(app).app_secret(secret).domain(url).build().im.v1.message


def content(text):
    return json.dumps({"text": text})


def check(response):
    if not response.success():
        raise RuntimeError(f"{response.code} {response.msg}")


def reply(message_id, text):
    if fails(text):
        raise RuntimeError("not this time")
    body = ReplyMessageRequestBody.builder().msg_type("text").content(content(echo(text))).build()
    check(messages.reply(ReplyMessageRequest.builder().message_id(message_id).request_body(body).build()))


def message(event):
    said = event.event.message
    reply(said.message_id, json.loads(said.content)["text"].removeprefix("@_user_1 "))


def first(event):
    reply(event.event["open_message_id"], event.event["text_without_at_bot"].strip())


def card(event):
    return P2CardActionTriggerResponse(
        {"toast": {"type": "info", "content": echo(event.event.action.value["command"])}})


def menu(event):
    body = CreateMessageRequestBody.builder().receive_id(event.event.operator.operator_id.open_id) \
        .msg_type("text").content(content(echo(event.event.event_key))).build()
    check(messages.create(CreateMessageRequest.builder().receive_id_type("open_id").request_body(body).build()))


handler = lark.EventDispatcherHandler.builder("", "").register_p2_im_message_receive_v1(message) \
    .register_p1_customized_event("message", first).register_p2_card_action_trigger(card) \
    .register_p2_application_bot_menu_v6(menu).build()
lark.ws.Client(app, secret, event_handler=handler, domain=url).start()

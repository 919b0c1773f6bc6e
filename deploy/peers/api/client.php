<?php
// Does the five operations as the official client for PHP does (alibabacloud/client, RPC): V1 by form, and what reads by query, too.
// The client itself comes from a registry of PHP's own, so this is written after it: its parameters, percentEncode over urlencode,
// ksort, and the nonce, a digest and microtime(), which has a blank inside. Each check is a line "ok …".
//
//	php api/client.php 127.0.0.1:9000 ID SECRET

[, $endpoint, $id, $secret] = $argv;

function percentEncode(string $text): string
{
    return preg_replace('/%7E/', '~', str_replace(['+', '*'], ['%20', '%2A'], urlencode($text)));
}

function nonce(): string
{
    return md5(uniqid((string) mt_rand(), true)) . microtime();
}

function call(string $method, string $action, array $params): array
{
    global $endpoint, $id, $secret;
    $params += [
        'RegionId' => 'cn-hangzhou', 'AccessKeyId' => $id, 'Format' => 'JSON', 'SignatureMethod' => 'HMAC-SHA1', 'SignatureVersion' => '1.0',
        'SignatureNonce' => nonce(), 'Timestamp' => gmdate('Y-m-d\TH:i:s\Z'), 'Action' => $action, 'Version' => '2019-06-01',
    ];
    ksort($params);
    $canonical = '';
    foreach ($params as $key => $value) {
        $canonical .= '&' . percentEncode($key) . '=' . percentEncode($value);
    }
    $text = $method . '&%2F&' . percentEncode(substr($canonical, 1));
    $params['Signature'] = base64_encode(hash_hmac('sha1', $text, $secret . '&', true));
    $url = "http://$endpoint/";
    $http = ['method' => $method, 'ignore_errors' => true, 'timeout' => 10];
    if ($method === 'POST') {
        $http += ['header' => 'Content-Type: application/x-www-form-urlencoded', 'content' => http_build_query($params)];
    } else {
        $url .= '?' . http_build_query($params);
    }
    $answer = file_get_contents($url, false, stream_context_create(['http' => $http]));
    $body = json_decode((string) $answer, true);
    if (!is_array($body)) {
        fail("$action: no JSON: $answer");
    }
    return $body;
}

function fail(string $why): never
{
    fwrite(STDERR, $why . "\n");
    exit(1);
}

function check(string $what, $got, $want): void
{
    if ($got !== $want) {
        fail("$what: got " . json_encode($got, JSON_UNESCAPED_UNICODE) . ', want ' . json_encode($want, JSON_UNESCAPED_UNICODE));
    }
    echo "ok $what\n";
}

foreach (['POST', 'GET'] as $read) {
    $name = 'php-' . strtolower($read);
    $configuration = ['ClientId' => 'ding~*a', 'ClientSecret' => 'example-secret', 'BotName' => '运维 "bot" & <co> +/=~*'];
    $create = ['Name' => $name, 'Type' => 'DingTalk', 'Configuration' => json_encode($configuration)];
    check("$name: create", call('POST', 'CreateChatConfiguration', $create)['ChatConfiguration']['Name'] ?? null, $name);
    check("$name: create again", call('POST', 'CreateChatConfiguration', $create)['Code'] ?? null, 'EntityAlreadyExists.ChatConfiguration');
    $got = call($read, 'GetChatConfiguration', ['Name' => $name])['ChatConfiguration'];
    $kept = json_decode($got['Configuration'], true);
    check("$name: get", $kept, ['DingTalkClientId' => 'ding~*a', 'DingTalkClientSecret' => '******', 'BotName' => '运维 "bot" & <co> +/=~*']);
    $filters = ['Filters.1.Name' => 'type', 'Filters.1.Value' => 'DingTalk', 'Filters.2.Name' => 'name', 'Filters.2.Value' => $name];
    check("$name: list", array_column(call($read, 'ListChatConfigurations', $filters)['ChatConfigurations'], 'Name'), [$name]);
    call('POST', 'UpdateChatConfiguration', ['Name' => $name, 'RamRole' => 'AliyunOOSDefaultRole', 'Configuration' => json_encode($kept)]);
    check("$name: update", call($read, 'GetChatConfiguration', ['Name' => $name])['ChatConfiguration']['RamRole'], 'AliyunOOSDefaultRole');
    $tags = ['ResourceType' => 'chatconfiguration', 'ResourceIds' => json_encode([$name]), 'Tags' => json_encode(['client' => 'php'])];
    check("$name: tag", array_keys(call($read, 'TagResources', $tags)), ['RequestId']);
    check("$name: delete", call('POST', 'DeleteChatConfiguration', ['Name' => $name])['Content'] ?? null, 'Chat configuration deleted successfully.');
    check("$name: get what is deleted", call($read, 'GetChatConfiguration', ['Name' => $name])['Code'] ?? null, 'EntityNotExists.ChatConfiguration');
}
if (!str_contains(nonce(), ' ')) {
    fail('the nonce has no blank, so nothing was shown of one');
}

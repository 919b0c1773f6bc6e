<?php
// Calls the API like the official client for PHP (alibabacloud/client, RPC): signed V1, by form,
// and reads also by query. The client itself is only in PHP's own registry. So this program repeats
// its parameters, its percentEncode, ksort, and its nonce, whose microtime() contains a space. Each
// check prints a line "ok …".
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
        'RegionId' => 'cn-hangzhou', 'AccessKeyId' => $id, 'Format' => 'JSON',
        'SignatureMethod' => 'HMAC-SHA1', 'SignatureVersion' => '1.0', 'SignatureNonce' => nonce(),
        'Timestamp' => gmdate('Y-m-d\TH:i:s\Z'), 'Action' => $action, 'Version' => '2019-06-01',
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
        $http['header'] = 'Content-Type: application/x-www-form-urlencoded';
        $http['content'] = http_build_query($params);
    } else {
        $url .= '?' . http_build_query($params);
    }
    $answer = file_get_contents($url, false, stream_context_create(['http' => $http]));
    $body = json_decode((string) $answer, true);
    if (!is_array($body)) {
        fail("$action: the answer is not JSON: $answer");
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
        $show = fn ($value) => json_encode($value, JSON_UNESCAPED_UNICODE);
        fail("$what: got {$show($got)}, want {$show($want)}");
    }
    echo "ok $what\n";
}

foreach (['POST', 'GET'] as $read) {
    $name = 'php-' . strtolower($read);
    $bot = '运维 "bot" & <co> +/=~*';
    $configuration = ['ClientId' => 'ding~*a', 'ClientSecret' => 'example-secret', 'BotName' => $bot];
    $create = ['Name' => $name, 'Type' => 'DingTalk', 'Configuration' => json_encode($configuration)];
    $answer = call('POST', 'CreateChatConfiguration', $create);
    check("$name: create", $answer['ChatConfiguration']['Name'] ?? null, $name);
    $answer = call('POST', 'CreateChatConfiguration', $create);
    check("$name: create again", $answer['Code'] ?? null, 'EntityAlreadyExists.ChatConfiguration');
    $got = call($read, 'GetChatConfiguration', ['Name' => $name])['ChatConfiguration'];
    $kept = json_decode($got['Configuration'], true);
    $want = ['DingTalkClientId' => 'ding~*a', 'DingTalkClientSecret' => '******', 'BotName' => $bot];
    check("$name: get", $kept, $want);
    $list = call($read, 'ListChatConfigurations', [
        'Filters.1.Name' => 'type', 'Filters.1.Value' => 'DingTalk',
        'Filters.2.Name' => 'name', 'Filters.2.Value' => $name,
    ]);
    check("$name: list", array_column($list['ChatConfigurations'], 'Name'), [$name]);
    $role = 'AliyunOOSDefaultRole';
    $update = ['Name' => $name, 'RamRole' => $role, 'Configuration' => json_encode($kept)];
    call('POST', 'UpdateChatConfiguration', $update);
    $got = call($read, 'GetChatConfiguration', ['Name' => $name]);
    check("$name: update", $got['ChatConfiguration']['RamRole'], $role);
    $tags = [
        'ResourceType' => 'chatconfiguration', 'ResourceIds' => json_encode([$name]),
        'Tags' => json_encode(['client' => 'php']),
    ];
    check("$name: tag", array_keys(call($read, 'TagResources', $tags)), ['RequestId']);
    $answer = call('POST', 'DeleteChatConfiguration', ['Name' => $name]);
    check("$name: delete", $answer['Content'] ?? null, 'Chat configuration deleted successfully.');
    $answer = call($read, 'GetChatConfiguration', ['Name' => $name]);
    check("$name: get after delete", $answer['Code'] ?? null, 'EntityNotExists.ChatConfiguration');
}
if (!str_contains(nonce(), ' ')) {
    fail('the nonce contains no space, so this did not test one');
}

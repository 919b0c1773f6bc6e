import com.aliyun.tea.TeaException;
import com.aliyun.teaopenapi.Client;
import com.aliyun.teaopenapi.models.Config;
import com.aliyun.teaopenapi.models.OpenApiRequest;
import com.aliyun.teaopenapi.models.Params;
import com.aliyun.teautil.models.RuntimeOptions;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Calls the API through the official client for Java that signs ACS3 (tea-openapi): by query, by
 * body, and by query with its older signature. Each check prints a line "ok …"; the first failure
 * ends the program with status 1.
 *
 * <p>java -cp 'api/lib/*' api/Tea.java 127.0.0.1:9000 ID SECRET
 */
public class Tea {
  private final Client client;
  private final boolean body;

  Tea(Config config, boolean body) throws Exception {
    client = new Client(config);
    this.body = body;
  }

  static Config config(String endpoint, String id, String secret) throws Exception {
    return new Config().setEndpoint(endpoint).setProtocol("HTTP").setAccessKeyId(id).setAccessKeySecret(secret);
  }

  @SuppressWarnings("unchecked")
  Map<String, Object> call(String action, String... pairs) throws Exception {
    Map<String, String> parameters = new HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      parameters.put(pairs[i], pairs[i + 1]);
    }
    OpenApiRequest request = new OpenApiRequest();
    if (body) {
      request.setBody(parameters);
    } else {
      request.setQuery(parameters);
    }
    Params params = new Params().setAction(action).setVersion("2019-06-01").setProtocol("HTTP").setPathname("/")
        .setMethod("POST").setAuthType("AK").setStyle("RPC").setReqBodyType("formData").setBodyType("json");
    return (Map<String, Object>) client.callApi(params, request, new RuntimeOptions()).get("body");
  }

  @SuppressWarnings("unchecked")
  Map<String, Object> configuration(String action, String... pairs) throws Exception {
    return (Map<String, Object>) call(action, pairs).get("ChatConfiguration");
  }

  String codeOf(String action, String... pairs) throws Exception {
    try {
      return "no error: " + call(action, pairs);
    } catch (TeaException e) {
      return e.getCode();
    }
  }

  static void check(String what, Object got, Object want) {
    if (!want.equals(got)) {
      System.err.println(what + ": got " + got + ", want " + want);
      System.exit(1);
    }
    System.out.println("ok " + what);
  }

  void operations(String name) throws Exception {
    String bot = "运维 \"bot\" & <co> +/=~*";
    JsonObject settings = new JsonObject();
    settings.addProperty("ClientId", "ding~*a");
    settings.addProperty("ClientSecret", "example-secret");
    settings.addProperty("BotName", bot);
    String[] create = {
      "RegionId", "cn-hangzhou", "Name", name, "Type", "DingTalk", "Configuration", settings.toString(),
    };
    check(name + ": create", configuration("CreateChatConfiguration", create).get("Name"), name);
    check(name + ": create again", codeOf("CreateChatConfiguration", create), "EntityAlreadyExists.ChatConfiguration");
    String kept = (String) configuration("GetChatConfiguration", "Name", name).get("Configuration");
    JsonObject read = JsonParser.parseString(kept).getAsJsonObject();
    check(name + ": get", read.get("BotName").getAsString(), bot);
    check(name + ": mask", read.get("DingTalkClientSecret").getAsString(), "******");
    Map<String, Object> page = call("ListChatConfigurations", "Filters.1.Name", "type", "Filters.1.Value", "DingTalk",
        "Filters.2.Name", "Name", "Filters.2.Value", name, "MaxResults", "10");
    check(name + ": list", ((List<?>) page.get("ChatConfigurations")).size(), 1);
    call("UpdateChatConfiguration", "Name", name, "Configuration", kept, "RamRole", "AliyunOOSDefaultRole");
    check(name + ": update", configuration("GetChatConfiguration", "Name", name).get("RamRole"),
        "AliyunOOSDefaultRole");
    check(name + ": delete", call("DeleteChatConfiguration", "Name", name).get("Content"),
        "Chat configuration deleted successfully.");
    check(name + ": get what is deleted", codeOf("GetChatConfiguration", "Name", name),
        "EntityNotExists.ChatConfiguration");
  }

  public static void main(String[] args) throws Exception {
    new Tea(config(args[0], args[1], args[2]), false).operations("tea-query");
    new Tea(config(args[0], args[1], args[2]), true).operations("tea-body");
    new Tea(config(args[0], args[1], args[2]).setSignatureAlgorithm("v2"), false).operations("tea-v1");
    Tea wrong = new Tea(config(args[0], args[1], "wrong-secret"), false);
    check("tea: a wrong secret", wrong.codeOf("ListChatConfigurations"), "SignatureDoesNotMatch");
    System.exit(0); // the threads of its HTTP client would keep it running
  }
}

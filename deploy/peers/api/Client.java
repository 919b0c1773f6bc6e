import com.aliyuncs.CommonRequest;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.IAcsClient;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.FormatType;
import com.aliyuncs.http.MethodType;
import com.aliyuncs.http.ProtocolType;
import com.aliyuncs.profile.DefaultProfile;
import com.aliyuncs.reader.Reader;
import com.aliyuncs.reader.ReaderFactory;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.Map;

/**
 * Calls the API through the official client for Java (aliyun-java-sdk-core), which signs V1. It
 * sends queries and bodies, and reads answers in JSON, and in XML with the client's own reader.
 * Each check prints a line "ok …"; the first failure ends the program with status 1.
 *
 * <p>java -cp 'api/lib/*' api/Client.java 127.0.0.1:9000 ID SECRET
 */
public class Client {
  static IAcsClient client;
  static String endpoint;

  static String call(String action, boolean body, FormatType format, String... pairs) throws ClientException {
    CommonRequest request = new CommonRequest();
    request.setSysMethod(MethodType.POST);
    request.setSysProtocol(ProtocolType.HTTP);
    request.setSysDomain(endpoint);
    request.setSysVersion("2019-06-01");
    request.setSysAction(action);
    if (format != null) {
      request.setSysAccept(format);
    }
    for (int i = 0; i < pairs.length; i += 2) {
      if (body) {
        request.putBodyParameter(pairs[i], pairs[i + 1]);
      } else {
        request.putQueryParameter(pairs[i], pairs[i + 1]);
      }
    }
    return client.getCommonResponse(request).getData();
  }

  static JsonObject json(String action, boolean body, String... pairs) throws ClientException {
    return JsonParser.parseString(call(action, body, null, pairs)).getAsJsonObject();
  }

  static String codeOf(String action, boolean body, String... pairs) {
    try {
      return "no error: " + call(action, body, null, pairs);
    } catch (ClientException e) {
      return e.getErrCode();
    }
  }

  static void check(String what, Object got, Object want) {
    if (!want.equals(got)) {
      System.err.println(what + ": got " + got + ", want " + want);
      System.exit(1);
    }
    System.out.println("ok " + what);
  }

  static void operations(boolean body) throws ClientException {
    String name = body ? "java-body" : "java-query";
    String configuration = "{\"ClientId\":\"ding~*a\",\"ClientSecret\":\"example-secret\","
        + "\"BotName\":\"运维 \\\"bot\\\" & <co> +/=~*\"}";
    String[] create = {"RegionId", "cn-hangzhou", "Name", name, "Type", "DingTalk", "Configuration", configuration};
    JsonObject got = json("CreateChatConfiguration", body, create).getAsJsonObject("ChatConfiguration");
    check(name + ": create", got.get("Name").getAsString(), name);
    check(name + ": create again",
        codeOf("CreateChatConfiguration", body, create), "EntityAlreadyExists.ChatConfiguration");
    got = json("GetChatConfiguration", body, "Name", name).getAsJsonObject("ChatConfiguration");
    String kept = got.get("Configuration").getAsString();
    JsonObject read = JsonParser.parseString(kept).getAsJsonObject();
    check(name + ": get", read.get("BotName").getAsString(), "运维 \"bot\" & <co> +/=~*");
    check(name + ": mask", read.get("DingTalkClientSecret").getAsString(), "******");
    JsonArray list = json("ListChatConfigurations", body, "Filters.1.Name", "type", "Filters.1.Value", "DingTalk",
        "Filters.2.Name", "Name", "Filters.2.Value", name, "MaxResults", "10").getAsJsonArray("ChatConfigurations");
    check(name + ": list", list.size(), 1);
    json("UpdateChatConfiguration", body, "Name", name, "Configuration", kept, "RamRole", "AliyunOOSDefaultRole");
    got = json("GetChatConfiguration", body, "Name", name).getAsJsonObject("ChatConfiguration");
    check(name + ": update", got.get("RamRole").getAsString(), "AliyunOOSDefaultRole");

    json("TagResources", body, "ResourceType", "chatconfiguration",
        "ResourceIds", "[\"" + name + "\"]", "Tags", "{\"a\":\"1\",\"b\":\"2\"}");
    Map<String, String> keys = xml("ListTagKeys", body);
    check(name + ": list of strings in XML", keys.get("ListTagKeysResponse.Keys.Length"), "2");
    check(name + ": its first in XML", keys.get("ListTagKeysResponse.Keys[0]"), "a");
    Map<String, String> values = xml("ListTagValues", body, "Key", "b");
    check(name + ": list of one string in XML", values.get("ListTagValuesResponse.Values[0]"), "2");
    Map<String, String> inXML = xml("GetChatConfiguration", body, "Name", name);
    check(name + ": get in XML", inXML.get("GetChatConfigurationResponse.ChatConfiguration.Name"), name);

    got = json("DeleteChatConfiguration", body, "Name", name);
    check(name + ": delete", got.get("Content").getAsString(), "Chat configuration deleted successfully.");
    check(name + ": get after delete",
        codeOf("GetChatConfiguration", body, "Name", name), "EntityNotExists.ChatConfiguration");
  }

  static Map<String, String> xml(String action, boolean body, String... pairs) throws ClientException {
    Reader reader = ReaderFactory.createInstance(FormatType.XML);
    return reader.read(call(action, body, FormatType.XML, pairs), action + "Response");
  }

  public static void main(String[] args) throws Exception {
    endpoint = args[0];
    DefaultProfile profile = DefaultProfile.getProfile("cn-hangzhou", args[1], args[2]);
    profile.getHttpClientConfig().setProtocolType(ProtocolType.HTTP);
    client = new DefaultAcsClient(profile);
    operations(false);
    operations(true);
    System.exit(0); // the threads of its HTTP client would keep it running
  }
}

import com.alicloud.openservices.tablestore.ClientConfiguration;
import com.alicloud.openservices.tablestore.SyncClient;
import com.alicloud.openservices.tablestore.TableStoreException;
import com.alicloud.openservices.tablestore.model.*;

/**
 * Checks the Tablestore emulator through the official SDK for Java. The error texts are those that
 * the vendor's own Java suite expects. Each check prints a line "ok capability: what" or "failed
 * capability: what: why". The exit status is 1 if a check failed.
 *
 * <p>It reads TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE, TABLESTORE_ACCESS_KEY_ID and
 * TABLESTORE_ACCESS_KEY_SECRET.
 */
public class Suite extends Checks {
  public static void main(String[] args) {
    client = new SyncClient(endpoint, id, secret, instance, configuration());
    Tables.all();
    Reads.all();
    Writes.all();
    Streams.all();
    authentication();
    compression();
    client.shutdown();
    System.exit(failed > 0 ? 1 : 0);
  }

  /** Fails the check unless a client with this key and token gets OTSAuthFailed. */
  static void stranger(String keyID, String keySecret, String token, String text) throws Exception {
    SyncClient other = new SyncClient(endpoint, keyID, keySecret, instance, configuration(), token);
    try {
      TableStoreException e = refusal(other::listTable);
      same(e.getErrorCode() + " " + e.getHttpStatus() + ": " + e.getMessage(), "OTSAuthFailed 403: " + text);
      if (e.getMessage().contains(secret)) {
        throw new AssertionError("the error has the secret");
      }
    } finally {
      other.shutdown();
    }
  }

  static void authentication() {
    check("authentication", "a wrong secret", () -> stranger(id, "wrong", null, "Signature mismatch."));
    check("authentication", "an unknown access key",
        () -> stranger("unknown", secret, null, "The AccessKeyID does not exist."));
    check("authentication", "an invalid STS token", () -> {
      SyncClient other = new SyncClient(endpoint, id, secret, instance, configuration(), "made-up");
      same(refusal(other::listTable).getErrorCode(), "OTSAuthFailed");
      other.shutdown();
    });
    check("authentication", "instances share no tables", () -> {
      String name = table(1, "p");
      SyncClient other = new SyncClient(endpoint, id, secret, instance + "-2", configuration());
      same(other.listTable().getTableNames(), "[]");
      other.shutdown();
      same(client.listTable().getTableNames().contains(name), true);
    });
    check("authentication", "the SDK verifies signature and checksum of answers", () -> {
      ClientConfiguration strict = configuration();
      same(strict.isEnableResponseValidation(), true);
      strict.setEnableResponseContentMD5Checking(true);
      SyncClient other = new SyncClient(endpoint, id, secret, instance, strict);
      same(other.listTable().getTableNames(), "[]");
      other.shutdown();
    });
  }

  static void compression() {
    check("compression", "requests and answers", () -> {
      ClientConfiguration compressed = configuration();
      compressed.setEnableRequestCompression(true);
      compressed.setEnableResponseCompression(true);
      compressed.setEnableResponseContentMD5Checking(true);
      SyncClient other = new SyncClient(endpoint, id, secret, instance, compressed);
      String name = table(1, "p");
      other.putRow(new PutRowRequest(put(name, key("p", "a"), "v", "x".repeat(100_000))));
      SingleRowQueryCriteria c = new SingleRowQueryCriteria(name, key("p", "a"));
      c.setMaxVersions(1);
      Row row = other.getRow(new GetRowRequest(c)).getRow();
      same(text(row), "p=a v=" + "x".repeat(100_000));
      TableStoreException e =
          refusal(() -> other.deleteTable(new DeleteTableRequest("nowhere")));
      same(e.getErrorCode(), "OTSObjectNotExist");
      other.shutdown();
    });
  }
}

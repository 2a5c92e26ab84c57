import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;

/** pgjdbc: a wire protocol of its own; every mode of its queries. */
public class Pgjdbc {
  interface Case {
    void run() throws Exception;
  }

  public static void main(String[] words) {
    Map<String, Case> cases = new LinkedHashMap<>();
    cases.put("verified TLS", Pgjdbc::verified);
    cases.put("another authority", Pgjdbc::untrusted);
    cases.put("values as text", () -> types("binaryTransfer=false"));
    cases.put("values in binary", () -> types("prepareThreshold=-1"));
    cases.put("every mode of queries", Pgjdbc::modes);
    cases.put("prepared statements", Pgjdbc::prepared);
    cases.put("batch", Pgjdbc::batch);
    cases.put("cursors", Pgjdbc::cursors);
    cases.put("COPY", Pgjdbc::copy);
    cases.put("COPY with an error", Pgjdbc::copyWithError);
    cases.put("errors and savepoints", Pgjdbc::savepoints);
    cases.put("notices", Pgjdbc::notices);
    cases.put("notifications", Pgjdbc::notifications);
    cases.put("cancel", Pgjdbc::cancel);
    cases.put("large values", Pgjdbc::large);
    cases.put("large objects", Pgjdbc::largeObjects);
    cases.put("pool", Pgjdbc::pool);
    cases.put("what tools ask about tables", Pgjdbc::metadata);
    cases.put("the end", Pgjdbc::ended);
    boolean failed = false;
    for (Map.Entry<String, Case> one : cases.entrySet()) {
      try {
        one.getValue().run();
        System.out.println("ok " + one.getKey());
      } catch (Throwable error) {
        failed = true;
        System.out.println("not ok " + one.getKey() + ": " + error.toString().replace('\n', ' '));
      }
    }
    System.exit(failed ? 1 : 0);
  }

  static Connection connect(String... more) throws SQLException {
    Map<String, String> at = System.getenv();
    String url = "jdbc:postgresql://" + at.get("PGHOST") + ":" + at.get("PGPORT") + "/" + at.get("PGDATABASE");
    String authority = "sslrootcert=" + at.get("PGSSLROOTCERT");
    StringJoiner options = new StringJoiner("&").add("sslmode=verify-full");
    if (!String.join("&", more).contains("sslrootcert")) options.add(authority);
    for (String option : more) options.add(option);
    return DriverManager.getConnection(url + "?" + options, at.get("PGUSER"), at.get("PGPASSWORD"));
  }

  static void check(boolean holds, Object... what) {
    if (!holds) throw new AssertionError("does not hold " + Arrays.toString(what));
  }

  static SQLException raises(Case run) throws Exception {
    try {
      run.run();
    } catch (SQLException error) {
      return error;
    }
    throw new AssertionError("no SQLException");
  }

  static Object one(Connection c, String statement, Object... arguments) throws SQLException {
    try (PreparedStatement prepared = c.prepareStatement(statement)) {
      for (int index = 0; index < arguments.length; index++) prepared.setObject(index + 1, arguments[index]);
      try (ResultSet rows = prepared.executeQuery()) {
        check(rows.next());
        return rows.getObject(1);
      }
    }
  }

  static void run(Connection c, String statement) throws SQLException {
    try (Statement plain = c.createStatement()) {
      plain.execute(statement);
    }
  }

  static void verified() throws Exception {
    try (Connection c = connect()) {
      check(c.getMetaData().getDatabaseMajorVersion() >= 15);
      check(one(c, "select pg_backend_pid()").equals(c.unwrap(PGConnection.class).getBackendPID()));
    }
    try (Connection c = connect("sslNegotiation=direct")) {
      check(one(c, "select 1").equals(1));
    }
  }

  static void untrusted() throws Exception {
    String other = System.getenv("OTHER_CA");
    SQLException error = raises(() -> connect("sslrootcert=" + other).close());
    check(error.getMessage().contains("SSL error"), error);
  }

  static void types(String mode) throws Exception {
    byte[] bytes = new byte[256];
    for (int index = 0; index < 256; index++) bytes[index] = (byte) index;
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("int4", -7);
    values.put("int8", 1L << 62);
    values.put("numeric", new BigDecimal("123456789012345678901234567890.123456789"));
    values.put("float8", 0.1);
    values.put("bool", true);
    values.put("text", "é\n'\"\\");
    values.put("uuid", UUID.fromString("11111111-2222-3333-4444-555555555555"));
    try (Connection c = connect(mode)) {
      for (int round = 0; round < 6; round++) {
        for (Map.Entry<String, Object> value : values.entrySet()) {
          Object found = one(c, "select ?::" + value.getKey(), value.getValue());
          check(found.equals(value.getValue()), value.getKey(), found);
        }
        check(Arrays.equals((byte[]) one(c, "select ?::bytea", bytes), bytes));
        Array array = c.createArrayOf("text", new String[] {"a", "b,\"c\"", null});
        check(Arrays.equals((Object[]) ((Array) one(c, "select ?::text[]", array)).getArray(), (Object[]) array.getArray()));
        OffsetDateTime instant = OffsetDateTime.parse("2026-11-23T12:34:56.789Z");
        try (PreparedStatement prepared = c.prepareStatement("select ?::timestamptz")) {
          prepared.setObject(1, instant);
          ResultSet rows = prepared.executeQuery();
          check(rows.next() && rows.getObject(1, OffsetDateTime.class).isEqual(instant));
        }
      }
    }
  }

  static void modes() throws Exception {
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
      try (Connection c = connect("preferQueryMode=" + mode)) {
        for (int number = 0; number < 20; number++) check(one(c, "select ?::int + 1", number).equals(number + 1));
        run(c, "select 1; select 2; select 3");
        check(raises(() -> run(c, "select 1 / 0")).getSQLState().equals("22012"));
        check(one(c, "select 3").equals(3));
      }
    }
  }

  static void prepared() throws Exception {
    try (Connection c = connect("prepareThreshold=1");
        PreparedStatement prepared = c.prepareStatement("select ?::int * 2")) {
      for (int number = 0; number < 200; number++) {
        prepared.setInt(1, number);
        ResultSet rows = prepared.executeQuery();
        check(rows.next() && rows.getInt(1) == 2 * number);
      }
      check(prepared.getParameterMetaData().getParameterTypeName(1).equals("int4"));
      run(c, "deallocate all");
      prepared.setInt(1, 4);
      check(prepared.executeQuery().next());
    }
  }

  static void batch() throws Exception {
    for (String rewrite : List.of("true", "false")) {
      try (Connection c = connect("reWriteBatchedInserts=" + rewrite)) {
        run(c, "create temp table many (id int primary key, text text)");
        try (PreparedStatement insert = c.prepareStatement("insert into many values (?, ?)")) {
          for (int number = 0; number < 5000; number++) {
            insert.setInt(1, number);
            insert.setString(2, "x".repeat(100));
            insert.addBatch();
          }
          check(insert.executeBatch().length == 5000);
          insert.setInt(1, 9999);
          insert.addBatch();
          insert.setInt(1, 7);
          insert.addBatch();
          check(raises(insert::executeBatch) instanceof BatchUpdateException);
        }
        try (PreparedStatement keys =
            c.prepareStatement("insert into many values (-1, 'y')", Statement.RETURN_GENERATED_KEYS)) {
          keys.executeUpdate();
          ResultSet rows = keys.getGeneratedKeys();
          check(rows.next() && rows.getInt(1) == -1);
        }
        check(one(c, "select count(*) from many where id < 5000").equals(5001L));
      }
    }
  }

  static void cursors() throws Exception {
    try (Connection c = connect(); Statement statement = c.createStatement()) {
      c.setAutoCommit(false);
      statement.setFetchSize(100);
      ResultSet rows = statement.executeQuery("select generate_series(1, 5000)");
      int count = 0;
      while (rows.next()) check(rows.getInt(1) == ++count);
      check(count == 5000);
      ResultSet left = statement.executeQuery("select generate_series(1, 5000)");
      check(left.next());
      left.close();
      check(one(c, "select 5").equals(5));
    }
  }

  static void copy() throws Exception {
    StringBuilder lines = new StringBuilder();
    for (int number = 0; number < 20_000; number++) lines.append(number).append("\ttext ").append(number).append('\n');
    try (Connection c = connect()) {
      run(c, "create temp table copied (id int, text text)");
      CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
      check(copies.copyIn("copy copied from stdin", new StringReader(lines.toString())) == 20_000);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      check(copies.copyOut("copy copied to stdout", out) == 20_000);
      check(out.toString(StandardCharsets.UTF_8).contentEquals(lines));
    }
  }

  static void copyWithError() throws Exception {
    try (Connection c = connect()) {
      run(c, "create temp table numbers (a int)");
      CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
      SQLException error = raises(() -> copies.copyIn("copy numbers from stdin", new StringReader("1\nx\n")));
      check(error.getSQLState().equals("22P02"), error);
      var given = copies.copyIn("copy numbers from stdin");
      given.writeToCopy("1\n".getBytes(), 0, 2);
      given.cancelCopy();
      check(one(c, "select count(*) from numbers").equals(0L));
    }
  }

  static void savepoints() throws Exception {
    try (Connection c = connect()) {
      String wrong = "insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())";
      PSQLException error = (PSQLException) raises(() -> run(c, wrong));
      check(error.getSQLState().equals("23514"));
      check(error.getServerErrorMessage().getConstraint().equals("customers_email_check"));
      c.setAutoCommit(false);
      run(c, "create temp table kept (a int)");
      Savepoint here = c.setSavepoint("here");
      check(raises(() -> run(c, "select 1 / 0")).getSQLState().equals("22012"));
      check(raises(() -> run(c, "select 1")).getSQLState().equals("25P02"));
      c.rollback(here);
      check(one(c, "select count(*) from kept").equals(0L));
      c.rollback();
    }
    try (Connection c = connect("autosave=always")) {
      c.setAutoCommit(false);
      check(raises(() -> run(c, "select 1 / 0")).getSQLState().equals("22012"));
      check(one(c, "select 6").equals(6));
    }
    try (Connection c = connect()) {
      c.setReadOnly(true);
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      c.setAutoCommit(false);
      check(raises(() -> run(c, "create table never (a int)")).getSQLState().equals("25006"));
    }
  }

  static void notices() throws Exception {
    try (Connection c = connect(); Statement statement = c.createStatement()) {
      statement.execute("do $$begin raise warning 'look'; end$$");
      check(statement.getWarnings().getMessage().equals("look"));
    }
  }

  static void notifications() throws Exception {
    try (Connection listener = connect(); Connection speaker = connect()) {
      run(listener, "listen news");
      run(speaker, "notify news, 'hello'");
      var heard = listener.unwrap(PGConnection.class).getNotifications(20_000);
      check(heard.length == 1 && heard[0].getParameter().equals("hello"));
    }
  }

  static void cancel() throws Exception {
    try (Connection c = connect(); Statement statement = c.createStatement()) {
      ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
      var cancelling = later.schedule(() -> { statement.cancel(); return null; }, 500, TimeUnit.MILLISECONDS);
      check(raises(() -> statement.execute("select pg_sleep(61)")).getSQLState().equals("57014"));
      cancelling.get();
      later.shutdown();
      check(one(c, "select 2").equals(2));
      statement.setQueryTimeout(1);
      check(raises(() -> statement.execute("select pg_sleep(61)")).getSQLState().equals("57014"));
    }
  }

  static void large() throws Exception {
    String value = "é".repeat(4_000_000);
    try (Connection c = connect()) {
      check(one(c, "select ?::text", value).equals(value));
    }
  }

  static void largeObjects() throws Exception {
    byte[] data = new byte[2_000_000];
    new Random(1).nextBytes(data);
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      LargeObjectManager objects = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long id = objects.createLO();
      LargeObject object = objects.open(id, LargeObjectManager.READWRITE);
      object.write(data);
      object.seek(1_000_000);
      check(Arrays.equals(object.read(1_000_000), Arrays.copyOfRange(data, 1_000_000, 2_000_000)));
      c.rollback();
    }
  }

  static void pool() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(20);
    List<Future<Object>> all = new ArrayList<>();
    for (int number = 0; number < 20; number++) {
      int mine = number;
      all.add(threads.submit(() -> {
        try (Connection c = connect()) {
          for (int round = 0; round < 20; round++) check(one(c, "select ?::int", mine).equals(mine));
          return null;
        }
      }));
    }
    for (Future<Object> each : all) each.get();
    threads.shutdown();
  }

  static void metadata() throws Exception {
    try (Connection c = connect()) {
      DatabaseMetaData about = c.getMetaData();
      ResultSet columns = about.getColumns(null, "public", "invoices", null);
      Set<String> names = new HashSet<>();
      while (columns.next()) names.add(columns.getString("COLUMN_NAME"));
      check(names.contains("customer_id"));
      ResultSet keys = about.getImportedKeys(null, "public", "invoices");
      check(keys.next() && keys.getString("PKTABLE_NAME").equals("customers"));
      check(about.getIndexInfo(null, "public", "invoices", false, true).next());
    }
  }

  static void ended() throws Exception {
    try (Connection busy = connect(); Connection idle = connect()) {
      System.out.println("waiting");
      for (Case statement : List.<Case>of(() -> run(busy, "select pg_sleep(60)"), () -> run(idle, "select 1"))) {
        SQLException error = raises(statement);
        System.out.println("read " + error.getSQLState() + " " + error.getMessage().replace('\n', ' '));
      }
    }
  }
}

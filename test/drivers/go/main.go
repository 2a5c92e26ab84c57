// pgx: a wire protocol of its own, everything in binary; its pool, its batches, and database/sql on top of it.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
)

var background = context.Background()

func main() {
	cases := []struct {
		name string
		run  func(*pgx.Conn)
	}{
		{"verified TLS", verified},
		{"another authority", untrusted},
		{"values as text", func(c *pgx.Conn) { types(c, pgx.QueryExecModeSimpleProtocol) }},
		{"values in binary", func(c *pgx.Conn) {
			for _, mode := range []pgx.QueryExecMode{
				pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec,
			} {
				types(c, mode)
			}
		}},
		{"prepared statements", prepared},
		{"pipeline", pipeline},
		{"pipeline with an error", pipelineWithError},
		{"batch", batch},
		{"cursors", cursors},
		{"COPY", copies},
		{"COPY with an error", copyWithError},
		{"errors and savepoints", savepoints},
		{"notices", notices},
		{"notifications", notifications},
		{"cancel", cancel},
		{"large values", large},
		{"large objects", largeObjects},
		{"pool", pool},
		{"database/sql", standard},
		{"the end", ended},
	}
	failed := false
	for _, one := range cases {
		if err := attempt(one.run); err != nil {
			failed = true
			fmt.Printf("not ok %s: %s\n", one.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok %s\n", one.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func attempt(run func(*pgx.Conn)) (err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%v", thrown)
		}
	}()
	c := must(pgx.Connect(background, ""))
	defer c.Close(background)
	run(c)
	return nil
}

func must[T any](value T, err error) T {
	hold(err)
	return value
}

func hold(err error) {
	if err != nil {
		panic(err)
	}
}

func check(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprint(append([]any{"does not hold "}, what...)...))
	}
}

func code(err error) string {
	var found *pgconn.PgError
	if errors.As(err, &found) {
		return found.Code
	}
	return fmt.Sprint(err)
}

func number(c *pgx.Conn, statement string, arguments ...any) (found int64) {
	hold(c.QueryRow(background, statement, arguments...).Scan(&found))
	return found
}

func verified(c *pgx.Conn) {
	check(c.PgConn().ParameterStatus("server_version") != "")
	check(int64(c.PgConn().PID()) == number(c, "select pg_backend_pid()"))
	direct := must(pgx.Connect(background, "sslnegotiation=direct"))
	check(number(direct, "select 1") == 1)
	hold(direct.Close(background))
}

func untrusted(*pgx.Conn) {
	_, err := pgx.Connect(background, "sslrootcert="+os.Getenv("OTHER_CA"))
	check(err != nil && strings.Contains(err.Error(), "certificate"), err)
}

func types(c *pgx.Conn, mode pgx.QueryExecMode) {
	hold2(c.Exec(background, "set timezone = 'UTC'"))
	instant := time.Date(2026, 11, 23, 12, 34, 56, 789000000, time.UTC)
	every := make([]byte, 256)
	for index := range every {
		every[index] = byte(index)
	}
	same(c, mode, "int8", int64(1)<<62)
	same(c, mode, "float8", 0.1)
	same(c, mode, "bool", true)
	same(c, mode, "text", "é\n'\"\\")
	same(c, mode, "bytea", every)
	same(c, mode, "int4[]", []int32{1, -2, 3})
	same(c, mode, "text[]", []string{"a", `b,"c"`, "NULL"})
	same(c, mode, "jsonb", `{"a": [1.5, null, "é"]}`)
	var found time.Time
	hold(c.QueryRow(background, "select $1::timestamptz", mode, instant).Scan(&found))
	check(found.Equal(instant), found)
}

func same[T any](c *pgx.Conn, mode pgx.QueryExecMode, kind string, value T) {
	var found T
	hold(c.QueryRow(background, "select $1::"+kind, mode, value).Scan(&found))
	check(reflect.DeepEqual(found, value), kind, found)
}

func hold2(_ any, err error) { hold(err) }

func prepared(c *pgx.Conn) {
	must(c.Prepare(background, "twice", "select $1::int8 * 2"))
	for index := int64(0); index < 200; index++ {
		check(number(c, "twice", index) == 2*index)
	}
	hold(c.Deallocate(background, "twice"))
}

func pipeline(c *pgx.Conn) {
	p := c.PgConn().StartPipeline(background)
	for index := range 500 {
		p.SendQueryParams("select $1::text", [][]byte{[]byte(fmt.Sprint(index))}, nil, nil, nil)
	}
	hold(p.Sync())
	for index := range 500 {
		rows := must(p.GetResults()).(*pgconn.ResultReader).Read()
		hold(rows.Err)
		check(string(rows.Rows[0][0]) == fmt.Sprint(index))
	}
	hold(p.Close())
}

func pipelineWithError(c *pgx.Conn) {
	several := &pgx.Batch{}
	several.Queue("select 1::int8")
	several.Queue("select 1 / $1::int", 0)
	several.Queue("select 3::int8")
	results := c.SendBatch(background, several)
	var found int64
	hold(results.QueryRow().Scan(&found))
	check(code(results.QueryRow().Scan(&found)) == "22012")
	check(results.Close() != nil)
	check(number(c, "select 4::int8") == 4)
}

func batch(c *pgx.Conn) {
	hold2(c.Exec(background, "create temp table many (id int, text text)"))
	several := &pgx.Batch{}
	for index := range 2000 {
		several.Queue("insert into many values ($1, $2)", index, "x")
	}
	hold(c.SendBatch(background, several).Close())
	check(number(c, "select count(*) from many") == 2000)
}

func cursors(c *pgx.Conn) {
	tx := must(c.Begin(background))
	hold2(tx.Exec(background, "declare far scroll cursor for select generate_series(1, 5000)::int8"))
	for index := int64(0); index < 5; index++ {
		rows := must(tx.Query(background, "fetch 1000 from far"))
		found := must(pgx.CollectRows(rows, pgx.RowTo[int64]))
		check(len(found) == 1000 && found[0] == index*1000+1)
	}
	hold(tx.Commit(background))
	rows := must(c.Query(background, "select generate_series(1, 100000)::int8"))
	check(rows.Next())
	rows.Close()
	check(number(c, "select 5::int8") == 5)
}

func copies(c *pgx.Conn) {
	hold2(c.Exec(background, "create temp table copied (id int8, text text)"))
	rows := pgx.CopyFromSlice(20_000, func(index int) ([]any, error) { return []any{int64(index), fmt.Sprint("text ", index)}, nil })
	check(must(c.CopyFrom(background, pgx.Identifier{"copied"}, []string{"id", "text"}, rows)) == 20_000)
	var out bytes.Buffer
	hold2(c.PgConn().CopyTo(background, &out, "copy copied to stdout"))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	check(len(lines) == 20_000 && lines[19_999] == "19999\ttext 19999")
}

func copyWithError(c *pgx.Conn) {
	hold2(c.Exec(background, "create temp table numbers (a int)"))
	_, err := c.PgConn().CopyFrom(background, strings.NewReader("1\nx\n"), "copy numbers from stdin")
	check(code(err) == "22P02", err)
	_, err = c.PgConn().CopyFrom(background, brokenReader{}, "copy numbers from stdin")
	check(err != nil)
	check(number(c, "select count(*) from numbers") == 0)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("changed my mind") }

func savepoints(c *pgx.Conn) {
	_, err := c.Exec(background, "insert into customers (name, email, country, created_at) values ('a', 'b', 'DE', now())")
	var found *pgconn.PgError
	check(errors.As(err, &found) && found.Code == "23514" && found.ConstraintName == "customers_email_check", err)
	tx := must(c.Begin(background))
	inner := must(tx.Begin(background))
	_, err = inner.Exec(background, "select 1 / 0")
	check(code(err) == "22012")
	_, err = inner.Exec(background, "select 1")
	check(code(err) == "25P02")
	hold(inner.Rollback(background))
	hold2(tx.Exec(background, "select 1"))
	hold(tx.Commit(background))
}

func notices(*pgx.Conn) {
	config := must(pgx.ParseConfig(""))
	heard := ""
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { heard += notice.Severity + notice.Message }
	c := must(pgx.ConnectConfig(background, config))
	defer c.Close(background)
	hold2(c.Exec(background, "do $$begin raise warning 'look'; end$$"))
	check(heard == "WARNINGlook", heard)
}

func notifications(c *pgx.Conn) {
	hold2(c.Exec(background, "listen news"))
	speaker := must(pgx.Connect(background, ""))
	defer speaker.Close(background)
	hold2(speaker.Exec(background, "select pg_notify('news', $1)", "hello"))
	patience, stop := context.WithTimeout(background, 20*time.Second)
	defer stop()
	check(must(c.WaitForNotification(patience)).Payload == "hello")
}

func cancel(*pgx.Conn) {
	config := must(pgx.ParseConfig(""))
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 20 * time.Second}
	}
	c := must(pgx.ConnectConfig(background, config))
	defer c.Close(background)
	patience, stop := context.WithTimeout(background, 500*time.Millisecond)
	defer stop()
	_, err := c.Exec(patience, "select pg_sleep(61)")
	check(code(err) == "57014", err)
	check(number(c, "select 2::int8") == 2)
}

func large(c *pgx.Conn) {
	value := strings.Repeat("é", 4_000_000)
	var found string
	hold(c.QueryRow(background, "select $1::text", value).Scan(&found))
	check(found == value)
}

func largeObjects(c *pgx.Conn) {
	tx := must(c.Begin(background))
	defer tx.Rollback(background)
	objects := tx.LargeObjects()
	id := must(objects.Create(background, 0))
	object := must(objects.Open(background, id, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite))
	data := make([]byte, 2_000_000)
	for index := 0; index < len(data); index += 4 {
		binary.BigEndian.PutUint32(data[index:], uint32(index))
	}
	check(must(object.Write(data)) == len(data))
	must(object.Seek(1_000_000, 0))
	read := make([]byte, 1_000_000)
	check(must(object.Read(read)) == len(read) && bytes.Equal(read, data[1_000_000:]))
}

func pool(*pgx.Conn) {
	connections := must(pgxpool.New(background, "pool_max_conns=20"))
	defer connections.Close()
	var all sync.WaitGroup
	wrong := make(chan error, 500)
	for index := range 500 {
		all.Add(1)
		go func() {
			defer all.Done()
			var found int
			err := connections.QueryRow(background, "select $1::int", index).Scan(&found)
			if err != nil || found != index {
				wrong <- fmt.Errorf("%d: %d %w", index, found, err)
			}
		}()
	}
	all.Wait()
	check(len(wrong) == 0)
}

func standard(*pgx.Conn) {
	db := must(sql.Open("pgx", ""))
	defer db.Close()
	tx := must(db.BeginTx(background, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true}))
	_, err := tx.Exec("create table never (a int)")
	check(code(err) == "25006", err)
	hold(tx.Rollback())
	var found string
	statement := must(db.Prepare("select $1::text"))
	for range 50 {
		hold(statement.QueryRow("x").Scan(&found))
	}
	check(found == "x")
}

func ended(busy *pgx.Conn) {
	idle := must(pgx.Connect(background, ""))
	fmt.Println("waiting")
	for _, one := range []struct {
		c         *pgx.Conn
		statement string
	}{{busy, "select pg_sleep(60)"}, {idle, "select 1"}} {
		_, err := one.c.Exec(background, one.statement)
		var found *pgconn.PgError
		check(errors.As(err, &found), err)
		fmt.Printf("read %s %s\n", found.Code, found.Message)
	}
}

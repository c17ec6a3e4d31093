//! What the query planner knows of the tables.

use super::*;

/// Two indexes serve `PICK`: half of the rows have the kind, one has the code.
const FILL: &str = "
    CREATE TABLE things (id TEXT PRIMARY KEY, kind TEXT, code TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO things SELECT i, i % 2, i FROM n;";
const INDEX: &str = "CREATE INDEX by_code ON things (code); CREATE INDEX by_kind ON things (kind);";
const PICK: &str = "SELECT id FROM things WHERE kind = ?1 AND code = ?2";

fn plan(tx: &ReadTx<'_>) -> Result<String> {
    let explained = tx.query_one(&format!("EXPLAIN QUERY PLAN {PICK}"), ["1", "1"], |row| row.get(3))?;
    Ok(explained.unwrap_or_default())
}

fn is_known(tx: &ReadTx<'_>) -> Result<bool> {
    let analysed = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    if tx.query_one(analysed, [], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    Ok(tx.query_one("SELECT 1 FROM sqlite_stat1 WHERE idx = 'by_code'", [], |_| Ok(()))?.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_indexes_are_looked_at_in_an_idle_moment() {
    let (db, _dir) = open(options());
    db.write_alone(|tx| tx.execute_batch(FILL)).await.unwrap();
    db.write_alone(|tx| tx.execute_batch(INDEX)).await.unwrap();
    assert!(db.read(plan).await.unwrap().contains("by_kind"), "an unlucky guess, or this proves nothing");
    let started = Instant::now();
    while !db.read(plan).await.unwrap().contains("by_code") {
        assert!(started.elapsed() < Duration::from_secs(10), "{}", db.read(plan).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        db.read(|tx| tx.query_one(PICK, ["1", "7"], |row| row.get::<_, String>(0))).await.unwrap().unwrap(),
        "7"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_table_is_looked_at_once_it_has_grown() {
    let (db, _dir) = open(options());
    db.write_alone(|tx| {
        tx.execute_batch(&format!("{FILL}{INDEX} DELETE FROM things WHERE CAST(code AS INTEGER) > 100"))
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!db.read(is_known).await.unwrap(), "a plan for a hundred rows would be a bad one for a million");
    // Its rows come with changes in the log.
    db.write_alone(|tx| {
        tx.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                INSERT INTO things SELECT i, i % 2, i FROM n",
        )?;
        (0..10_000).try_for_each(|n| tx.append(change("things", &n.to_string())).map(drop))
    })
    .await
    .unwrap();
    let started = Instant::now();
    while !db.read(is_known).await.unwrap() {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_writes_does_not_put_it_off() {
    let (db, _dir) = open(options());
    db.write_alone(|tx| tx.execute_batch(&format!("{FILL}{INDEX}"))).await.unwrap();
    let started = Instant::now();
    while !db.read(is_known).await.unwrap() {
        assert!(started.elapsed() < Duration::from_secs(10));
        db.write(|tx| tx.execute("UPDATE t SET body = ''", [])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_looks_at_what_is_left() {
    let (db, dir) = open(options());
    db.write_alone(|tx| tx.execute_batch(&format!("{FILL}{INDEX}"))).await.unwrap();
    db.close().await;
    let db = Db::open(dir.path(), options()).unwrap();
    assert!(db.read(is_known).await.unwrap());
    assert!(db.read(plan).await.unwrap().contains("by_code"));
}

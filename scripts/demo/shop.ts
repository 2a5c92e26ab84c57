import { readFile } from 'node:fs/promises'
import pg from 'pg'
import type { RunningPostgres } from './postgres.ts'

/** The logins of the shop's database. `shop_admin` owns it. */
export const shopLogins = ['shop_readonly', 'shop_reporting', 'shop_admin'] as const
export type ShopPasswords = Readonly<Record<(typeof shopLogins)[number], string>>

/** Makes the database `shop` with its logins and some thousand rows, unless it is there. */
export async function makeShop(postgres: RunningPostgres, passwords: ShopPasswords): Promise<void> {
  const superuser = await postgres.connect()
  try {
    const found = await superuser.query("select from pg_database where datname = 'shop'")
    if (found.rowCount !== 0) return
    // A start that was broken off leaves a database by another name, which the next one replaces.
    await superuser.query('drop database if exists shop_unfinished')
    for (const login of shopLogins) await makeLogin(superuser, login, passwords[login])
    await superuser.query('create database shop_unfinished owner shop_admin')
    await superuser.query('revoke connect on database shop_unfinished from public')
    await superuser.query('grant connect on database shop_unfinished to shop_readonly, shop_reporting')
    await fill(postgres)
    await superuser.query('alter database shop_unfinished rename to shop')
  } finally {
    await superuser.end()
  }
}

async function makeLogin(superuser: pg.Client, name: string, password: string): Promise<void> {
  const found = await superuser.query('select from pg_roles where rolname = $1', [name])
  const verb = found.rowCount === 0 ? 'create' : 'alter'
  await superuser.query(`${verb} role ${pg.escapeIdentifier(name)} login password ${pg.escapeLiteral(password)}`)
}

async function fill(postgres: RunningPostgres): Promise<void> {
  const client = await postgres.connect('shop_unfinished')
  try {
    await client.query('set role shop_admin')
    await client.query(await readFile(new URL('shop.sql', import.meta.url), 'utf8'))
    await client.query('reset role')
    await client.query('analyze')
  } finally {
    await client.end()
  }
}

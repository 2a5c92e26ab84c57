import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Visitor } from '../clients/visitor.ts'
import type { SshTestGateway } from '../servers/ssh-gateway.ts'
import { makeKey } from '../servers/sshd.ts'

/** A folder for keys, which goes with `stack`. */
export async function makeKeyFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-conformance-keys-'))
  stack.defer(() => rm(folder, { recursive: true }))
  return folder
}

/** Alice signs in with a new browser, and a new key is bound to that. @returns its private file */
export async function newBoundKey(gateway: SshTestGateway, file: string): Promise<string> {
  await makeKey(file, 'ed25519')
  await using browser = new Visitor(gateway.ca)
  await browser.open(new URL('/sign-in', gateway.url), 'alice')
  await gateway.bind('alice', `${file}.pub`)
  return file
}

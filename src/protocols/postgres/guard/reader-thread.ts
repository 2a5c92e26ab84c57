import { parentPort } from 'node:worker_threads'
import { loadParser } from './parse.ts'
import type { ReadOrder, ReadReport } from './reader.ts'
import { readStatements } from './walk.ts'

// The entry of the thread that reads long statements; reader.ts starts it.

if (parentPort !== null) await run(parentPort)

async function run(port: NonNullable<typeof parentPort>): Promise<void> {
  const parse = await loadParser()
  port.on('message', ({ id, text }: ReadOrder) => {
    const reading = readStatements(parse(text))
    port.postMessage({ id, reading } satisfies ReadReport)
  })
}

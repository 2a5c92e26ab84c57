import { createHash } from 'node:crypto'
import { chainStart } from '../../src/audit/chain.ts'
import type { AuditStore, ChainedEvent } from '../../src/audit/store.ts'

export async function everyEvent(audit: AuditStore): Promise<ChainedEvent[]> {
  const all: ChainedEvent[] = []
  for (;;) {
    const page = await audit.events(all.length, 500)
    all.push(...page)
    if (page.length < 500) return all
  }
}

/** The first sequence number whose place, link or hash is wrong; undefined when the chain holds. Made from the words of the docs, not from the code. */
export function firstBroken(events: readonly ChainedEvent[]): number | undefined {
  let previous = chainStart
  for (const [index, event] of events.entries()) {
    const hash = createHash('sha256')
      .update(`${previous}\n${index + 1}\n${event.json}`, 'utf8')
      .digest('hex')
    if (event.sequence !== index + 1 || event.previous !== previous || event.hash !== hash) return index + 1
    previous = hash
  }
  return undefined
}

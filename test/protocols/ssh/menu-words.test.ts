import { expect, test } from 'vitest'
import { foundText, menuText, reachText } from '../../../src/protocols/ssh/menu/words.ts'
import type { Reachable } from '../../../src/protocols/ssh/menu/reach.ts'

// Goal: a person with thousands of servers finds theirs on a terminal of 24 lines, and a script still sees all of them.
const one = (resource: string, role: string, kind: Reachable['kind'] = 'ssh'): Reachable => ({
  ...{ resource, role, kind, state: 'needs nobody', description: `Look after ${resource}`, hasShell: true },
  commands: [`connect ${role}@${resource}`],
})
const servers = Array.from({ length: 300 }, (_, index) => one(`web-${String(index).padStart(3, '0')}`, 'ops'))
const databases = Array.from({ length: 80 }, (_, index) => one(`db-${index}`, 'reader', 'postgres'))
const reach = servers.flatMap((server, index) => (databases[index] ? [server, databases[index]] : [server]))
const linesOf = (text: string) => text.trimEnd().split('\n')

test('the menu shows fifty of each, and says how many there are', () => {
  const text = menuText(reach, null)
  expect(text.match(/^ +\d+ +web-\d+ +ops/gm)).toHaveLength(50)
  expect(text).toContain('50 of 300. Type a part of a name to find the others.')
  expect(text.match(/^ +db-\d+ +reader/gm)).toHaveLength(50)
  expect(text).toContain('50 of 80.')
  expect(menuText(reach.slice(0, 40), null)).not.toContain('Type a part of a name')
})

test('what was typed is found with the number that it has in the menu', () => {
  expect(linesOf(foundText('web-29', reach, null)!).map((line) => line.trim().split(/ {2,}/).slice(0, 3))).toEqual([
    ['#', 'RESOURCE', 'ROLE'],
    ...Array.from({ length: 10 }, (_, index) => [`${291 + index}`, `web-29${index}`, 'ops']),
  ])
  expect(foundText('ops@web-007', reach, null)).toContain('8  web-007')
  expect(foundText('after web-299', reach, null)).toContain('300  web-299')
  expect(foundText('web', reach, null)).toContain('50 of 300.')
})

test('nothing is found of what other clients reach, of what is not there, and of what is named in full', () => {
  expect(['db-1', 'nothing', 'web-001'].map((part) => foundText(part, reach, null))).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('a script sees all, without numbers', () => {
  const text = reachText(reach)
  expect(text.match(/^ +web-\d+ +ops/gm)).toHaveLength(300)
  expect(text.match(/^ +db-\d+ +reader/gm)).toHaveLength(80)
  expect(text.match(/^ +connect reader@db-\d+$/gm)).toHaveLength(80)
})

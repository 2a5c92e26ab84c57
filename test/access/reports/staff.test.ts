// Goal: reports are for people of the staff, and for no machine, whatever groups it is in. Method: the rights alone.
import { expect, test } from 'vitest'
import { createReports, type ReportDeps } from '../../../src/access/reports.ts'
import type { Person } from '../../../src/identity/person.ts'
import { people } from '../world.ts'

test('operators and reviewers read reports, operators try rules, machines do neither', () => {
  const staff = { reviewers: ['security'], operators: ['operators'] }
  const reports = createReports({ staff } as unknown as ReportDeps)
  const rights = (person: Person) => [reports.mayRead(person), reports.mayDryRun(person)]
  expect(rights(people.olga)).toEqual([true, true])
  expect(rights(people.sam)).toEqual([true, false])
  expect(rights(people.alice)).toEqual([false, false])
  expect(rights({ ...people.olga, email: null, kind: 'machine' })).toEqual([false, false])
})

import type { Audience, NoticeType } from '../access/outbox.ts'
import type { StatementFacts } from './statement-facts.ts'
import { line, moment, personLine, type Wording } from './word-parts.ts'

export function statementWording(type: NoticeType, statement: StatementFacts, audience: Audience): Wording {
  const { person, role, resource, about, rule, state, answeredBy, link } = statement
  const isAsking = type === 'statement.asked'
  return {
    headline: isAsking
      ? `${person.name} waits to run a statement on ${resource}`
      : `The statement of ${person.name} on ${resource} ${stateWords[state]}`,
    lines: [
      ['Who', personLine(person)],
      ['Where', `${role} on ${resource}`],
      ['What', about],
      ...line('Rule', rule),
      ...(isAsking ? ([['Waits until', moment(statement.lapsesAt)]] as const) : []),
      ...line('Answered by', answeredBy === null ? null : personLine(answeredBy)),
    ],
    quotes: [...line('Statement', statement.sql), ...line('Comment', statement.comment)],
    link: { text: isAsking && audience === 'deciders' ? 'Look at it and answer' : 'Look at it', url: link },
  }
}

const stateWords: Readonly<Record<StatementFacts['state'], string>> = {
  waiting: 'waits',
  approved: 'was agreed to',
  refused: 'was refused',
  lapsed: 'was not answered in time',
  'given-up': 'was given up',
}

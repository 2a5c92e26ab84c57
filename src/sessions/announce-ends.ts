import { timeForPeople } from '../kernel/time.ts'
import type { Admission } from './admission.ts'
import { longerText, warningText } from './words.ts'

/** Tells somebody at a terminal when the end of the session comes near, and when it has moved away. */
export function announceEnds(
  admission: Pick<Admission, 'session' | 'deadline' | 'extendLink' | 'onWarning'>,
  say: (text: string) => void,
): Disposable {
  const { session, deadline, extendLink } = admission
  const what = `${session.resource} as ${session.role}`
  let known = deadline.value
  const moves = deadline.subscribe((until) => {
    if (until > known) say(longerText(what, timeForPeople(until)))
    known = until
  })
  const warnings = admission.onWarning((leftMs, cause) => say(warningText(what, leftMs, cause, extendLink)))
  return {
    [Symbol.dispose]: () => {
      moves[Symbol.dispose]()
      warnings[Symbol.dispose]()
    },
  }
}

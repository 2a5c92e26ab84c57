import { Fault } from '../../kernel/fault.ts'
import { openRecording, type Recording } from '../../recording/reading.ts'
import type { Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import { path, query } from '../html/parts.ts'
import { Kept } from '../kept.ts'
import { noteOf, recordedSession } from '../recorded-session.ts'
import { planReplay, type ReplayPlan } from '../replay-plan.ts'
import { readPart } from '../replay-part.ts'
import type { Site } from '../site.ts'
import { createTurns } from '../turns.ts'

/** How long a pause is played when pauses are skipped. */
const pauseUsMax = 1_000_000
const plansKept = 32
/** A player asks for three parts at most; two windows may be open. */
const waitingMax = 8

interface Wish {
  readonly channel: number
  readonly skipPauses: boolean
  /** As far as the player knows the recording; undefined: as far as there is something. */
  readonly untilUs: number | undefined
}

interface Opened {
  readonly recording: Recording
  readonly plan: ReplayPlan
  /** More may come. */
  readonly isLive: boolean
}

/**
 * What asciinema-player fetches: where the parts of a channel begin, and each part when it comes to it.
 * A recording of any size is played so, without the browser or the gateway ever holding more than a few parts.
 */
export function replayRoutes(site: Site): void {
  const plans = new Kept<ReplayPlan>(plansKept)
  const turns = createTurns(waitingMax)

  async function planOf(file: string, recording: Recording, wish: Wish): Promise<ReplayPlan> {
    const untilUs = wish.untilUs ?? recording.manifest?.lastUs
    const key = (us: number) => `${file} ${wish.channel} ${wish.skipPauses} ${us}`
    const known = untilUs === undefined ? undefined : plans.get(key(untilUs))
    if (known !== undefined) return known
    const events = recording.events(untilUs === undefined ? {} : { toSeconds: (untilUs + 1) / 1e6 })
    const plan = await planReplay(events, wish.channel, { pauseUsMax: wish.skipPauses ? pauseUsMax : null })
    if (plan === undefined) throw new Fault('NOT_FOUND', 'The recording has no such channel.')
    plans.set(key(plan.endUs), plan)
    if (untilUs !== undefined) plans.set(key(untilUs), plan)
    return plan
  }

  /** One piece of work at a time for each person; looking is written down before anything is seen. */
  async function withPlan(visit: Visit, work: (opened: Opened) => Response | Promise<Response>): Promise<Response> {
    const { row, file } = await recordedSession(site, visit)
    await site.auditor.noteVisit(visit, row.session.id, 'recording.replayed', noteOf(row))
    return turns.take(visit.person.id, async () => {
      await using recording = await openRecording(file)
      const plan = await planOf(file, recording, readWish(visit))
      return await work({ recording, plan, isLive: row.end === null })
    })
  }

  site.page('/recordings/:id/replay/:channel', (visit) =>
    withPlan(visit, (opened) => visit.c.json(indexOf(visit, opened))),
  )

  site.page('/recordings/:id/replay/:channel/:part', (visit) =>
    withPlan(visit, async ({ recording, plan }) => {
      const part = plan.parts[Number(visit.c.req.param('part'))]
      if (part === undefined) throw new Fault('NOT_FOUND', 'The recording has no such part.')
      return visit.c.json(await readPart(recording, plan, part))
    }),
  )
}

function readWish({ c }: Visit): Wish {
  const fields = fieldsOf(new URL(c.req.url).searchParams)
  const until = Number(fields.text('until', 20) || NaN)
  return {
    channel: Number(c.req.param('channel')),
    skipPauses: fields.flag('skip'),
    untilUs: Number.isSafeInteger(until) && until >= 0 ? until : undefined,
  }
}

/** In asciinema-player's "segmented" form; `pauses` and the like are for our own script. */
function indexOf({ c }: Visit, { plan, isLive }: Opened) {
  const seconds = (us: number) => us / 1e6
  const here = path('recordings', c.req.param('id')!, 'replay', `${plan.channel}`)
  const asked = { skip: plan.pauseUsMax === null ? undefined : 'yes', until: plan.endUs }
  return {
    version: 1,
    duration: seconds(plan.playedUs),
    term: { cols: plan.cols, rows: plan.rows },
    markers: plan.markers.map(([us, label]) => [seconds(us), label]),
    segments: plan.parts.map(({ playedUs }, at) => ({
      start: seconds(playedUs),
      url: query(`${here}/${at}`, asked),
    })),
    url: query(here, asked),
    isLive,
    startsAt: seconds(plan.startUs),
    pauseSeconds: plan.pauseUsMax === null ? null : seconds(plan.pauseUsMax),
    pauses: plan.pauses.map(([from, to]) => [seconds(from), seconds(to)]),
  }
}

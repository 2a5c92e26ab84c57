import { openFile } from '../../recording/source.ts'
import { verifyRecording } from '../../recording/verify.ts'
import type { Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import { createRateLimit } from '../rate-limit.ts'
import { checkReadable, noteOf, recordedSession, type RecordedSession } from '../recorded-session.ts'
import { exportStream, readExport } from '../recording-export.ts'
import type { Site } from '../site.ts'
import type { Looked } from './recording-head.ts'
import { createHttpRecordingPage } from './recording-http.ts'
import { postgresRecordingPage } from './recording-postgres.ts'
import { createSshRecordingPage } from './recording-ssh.ts'
import { replayRoutes } from './replay.ts'

/** Up to here the seal is checked each time the page is opened; beyond, when it is asked for. */
const checkBytesMax = 64 * 1024 * 1024

/** What happened in one session, and whether it is sealed. Looking and taking away are both written down. */
export function recordingRoutes(site: Site): void {
  const { deps, auditor } = site
  // Each look reads, checks and parses a file on the thread that also cuts sessions off.
  const looks = createRateLimit(deps.clock, { burst: 30, perMs: 1000 })
  const pages = {
    postgres: postgresRecordingPage,
    ssh: createSshRecordingPage(site),
    http: createHttpRecordingPage(site),
  }

  site.page('/recordings/:id', async (visit) => {
    looks.take(visit.person.id)
    const { row, file } = await recordedSession(site, visit)
    if (visit.c.req.method === 'GET') {
      await auditor.noteVisit(visit, row.session.id, 'recording.replayed', noteOf(row))
    }
    const looked = await look(site, visit, { row, file })
    return site.render(visit.c, await pages[row.session.client.protocol](visit, looked), visit)
  })

  site.page('/recordings/:id/export/:format', async (visit) => {
    looks.take(visit.person.id)
    const { row, file } = await recordedSession(site, visit)
    const wanted = readExport(row.session.client.protocol, visit.c.req.param('format') ?? '', paramsOf(visit))
    const onlyAsks = visit.c.req.method === 'HEAD'
    if (!onlyAsks) {
      await checkReadable(file, wanted.isIn)
      await auditor.note(visit, 'recording.exported', { ...noteOf(row), format: wanted.format })
    }
    visit.c.header('Content-Type', wanted.type)
    visit.c.header('Content-Disposition', `attachment; filename="${row.session.id}${wanted.nameEnd}"`)
    if (onlyAsks) return visit.c.body(null)
    return visit.c.body(exportStream(wanted, file))
  })

  replayRoutes(site)
}

function paramsOf({ c }: Visit): URLSearchParams {
  return new URL(c.req.url).searchParams
}

async function look({ deps }: Site, visit: Visit, { row, file }: RecordedSession): Promise<Looked> {
  const params = paramsOf(visit)
  const sizeBytes = await sizeOf(file)
  const check = sizeBytes <= checkBytesMax || fieldsOf(params).flag('check')
  const seal = row.end !== null && check ? await verifyRecording(file, deps.publicKeys()) : undefined
  return { row, file, sizeBytes, seal, params }
}

async function sizeOf(file: string): Promise<number> {
  await using source = await openFile(file)
  return source.sizeBytes
}

import { auditEvent, refusalData, theGateway, type Actor, type AuditEvent } from '../audit/event.ts'
import type { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import type { GivenUp } from '../recording/recorder.ts'
import type { Ask } from './admission.ts'
import type { Session, SessionEnd } from './session.ts'

/** The audit events of this room: one helper for each fact. */
export const sessionEvents = {
  refused: (ask: Ask, fault: Fault, at: Instant): AuditEvent =>
    auditEvent(
      'session.refused',
      at,
      { id: ask.identified.person, name: ask.identified.personName },
      {
        resource: ask.resource,
        role: ask.role,
        protocol: ask.client.protocol,
        address: ask.client.address,
        application: ask.client.application,
        ...refusalData(fault.code, fault.message),
      },
    ),
  started: (session: Session, recording: string | null): AuditEvent =>
    auditEvent('session.started', session.startedAt, holder(session), {
      ...sessionData(session),
      grant: session.grant,
      database: session.database,
      credential: session.credential,
      certificate: session.certificate,
      protocol: session.client.protocol,
      address: session.client.address,
      application: session.client.application,
      tls: session.client.tls,
      node: session.node,
      recording,
    }),
  ended: (session: Session, end: SessionEnd): AuditEvent =>
    auditEvent('session.ended', end.at, holder(session), {
      ...sessionData(session),
      by: end.by,
      code: end.code,
      message: end.message,
      cutLatencyMs: end.cutLatencyMs,
      lengthMs: end.at - session.startedAt,
      bytesFromClient: end.bytesFromClient,
      bytesFromTarget: end.bytesFromTarget,
    }),
  /** Behind what is told here, nobody can say what the recording was; up to there, that it is the same. */
  recordingGivenUp: (session: Session, { why, bytes, chain }: GivenUp, at: Instant): AuditEvent =>
    auditEvent('recording.given-up', at, theGateway, {
      ...sessionData(session),
      holder: session.person,
      why,
      bytes,
      chain,
    }),
  killed: (session: Session, by: Actor, comment: string | null, at: Instant): AuditEvent =>
    auditEvent('session.killed', at, by, { ...sessionData(session), holder: session.person, comment }),
}

function holder({ person, personName }: Session): Actor {
  return { id: person, name: personName }
}

function sessionData({ id, resource, role }: Session) {
  return { session: id, resource, role }
}

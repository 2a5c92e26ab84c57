import type { Generated } from 'kysely'

// The rows as they lie in the database. Instants are epoch milliseconds; JSON columns hold text.

export interface PersonRow {
  id: string
  issuer: string
  subject: string
  email: string | null
  name: string | null
  groups: string
  claims: string
  seen_at: number
  kind: string
  everything_ended_at: number | null
}
export interface BrowserSessionRow {
  id: string
  person_id: string
  secret_hash: string
  provider_session: string | null
  id_token: string | null
  sealed_refresh_token: string | null
  address: string
  user_agent: string
  created_at: number
  expires_at: number
  ended_at: number | null
}
export interface SignInRow {
  id: string
  code: string
  purpose: string
  address: string
  application: string
  resource: string | null
  role: string | null
  secret_hash: string | null
  key_fingerprint: string | null
  created_at: number
  expires_at: number
  state: string
  person_id: string | null
  browser_session_id: string | null
  answered_at: number | null
}
export interface BindingRow {
  id: string
  person_id: string
  browser_session_id: string
  kind: string
  value: string
  created_at: number
  expires_at: number
  ended_at: number | null
}
export interface TokenRow {
  id: string
  person_id: string
  label: string
  kind: string
  secret_hash: string
  /** Names between spaces. */
  scopes: string
  created_at: number
  expires_at: number
  last_used_at: number | null
  ended_at: number | null
}
export interface MachineTokenRow {
  token_id: string
  issuer: string
  subject: string
  definition: string
}
export interface RequestRow {
  id: string
  person_id: string
  resource: string
  role: string
  length_ms: number
  reason: string
  ticket: string | null
  starts_at: number | null
  policy: string
  approval: string
  origin: string
  asked_at: number
  lapses_at: number
  state: string
  closed_at: number | null
  kind: string
  asked_by: string | null
  extends_grant_id: string | null
  bundle_id: string | null
  bundle_name: string | null
  recurrence: string | null
  risk: string | null
  step: number
  step_since: number
  escalated_at: number | null
}
export interface RequestKeyRow {
  person_id: string
  key: string
  request_id: string
  at: number
}
export interface WorkKeyRow {
  person_id: string
  key: string
  kind: string
  subject: string
  wish: string
  at: number
}
export interface DecisionRow {
  id: string
  request_id: string
  person_id: string
  verdict: string
  comment: string
  at: number
  step: number
  terms: string | null
}
export interface GrantRow {
  id: string
  request_id: string
  person_id: string
  resource: string
  role: string
  policy: string
  starts_at: number
  expires_at: number
  state: string
  ended_at: number | null
  ended_by: string | null
  comment: string | null
  length_ms: number
  clock: string
  uses: string
  first_used_at: number | null
  use_by: number | null
  windows: string | null
  databases: string | null
  networks: string | null
}
export interface ReviewRow {
  id: string
  request_id: string
  person_id: string
  reviewers: string
  opened_at: number
  reminders: number
  remind_at: number
  verdict: string | null
  comment: string | null
  closed_by: string | null
  closed_at: number | null
}
export interface CampaignRow {
  id: string
  name: string
  started_by: string
  started_at: number
  due_at: number
  grant_ms: number
  token_ms: number
  reviewers: string
  reminded_at: number | null
  finished_at: number | null
}
export interface CampaignEntryRow {
  id: string
  campaign_id: string
  position: number
  kind: string
  subject: string
  person_id: string | null
  title: string
  details: string
  expires_at: number | null
  last_used_at: number | null
  state: string
  decided_by: string | null
  decided_at: number | null
  comment: string
}
export interface LockRow {
  id: string
  person_id: string | null
  group_name: string | null
  resource: string | null
  role: string | null
  address: string | null
  reason: string
  placed_by: string
  placed_at: number
  until: number | null
  lifted_by: string | null
  lifted_at: number | null
}
export interface SessionTableRow {
  id: string
  person_id: string
  person_name: string
  credential: string
  browser_session_id: string | null
  grant_id: string
  resource: string
  role: string
  database: string | null
  client: string
  node: string
  started_at: number
  recording: string | null
  ended_at: number | null
  ending: string | null
}
export interface AuditRow {
  sequence: number
  json: string
  previous: string
  hash: string
  type: Generated<string>
}
export interface CheckpointRow {
  number: Generated<number>
  sequence: number
  jws: string
}
export interface ChangeTableRow {
  number: Generated<number>
  json: string
}

export interface NotifyPositionRow {
  one: number
  change: number
  telling: number
}
export interface NoticeRow {
  id: string
  type: string
  at: number
  subject: string
  data: string
}
export interface MessageRow {
  id: string
  notice_id: string
  channel: string
  recipient: string
  audience: string
  state: string
  ready_at: number
  due_at: number
  attempts: number
  problem: string | null
  settled_at: number | null
  reference: string | null
}
export interface SwitchedOffReceiverRow {
  recipient: string
  place: string
  at: number
}

export interface DatabaseUserRow {
  id: string
  grant_id: string
  resource: string
  role: string
  name: string
  planned_at: number
  made_at: number | null
  ended_at: number | null
  outcome: string | null
}

export interface StatementQuestionRow {
  id: string
  session_id: string
  grant_id: string
  request_id: string
  person_id: string
  resource: string
  role: string
  sql: string
  sql_chars: number
  rule: string | null
  about: string
  message: string | null
  /** JSON of `Approvers`. */
  askers: string | null
  asked_at: number
  lapses_at: number
  state: string
  decided_by: string | null
  closed_at: number | null
  comment: string
}

export interface Tables {
  persons: PersonRow
  browser_sessions: BrowserSessionRow
  sign_ins: SignInRow
  bindings: BindingRow
  tokens: TokenRow
  machine_tokens: MachineTokenRow
  requests: RequestRow
  request_keys: RequestKeyRow
  work_keys: WorkKeyRow
  decisions: DecisionRow
  grants: GrantRow
  reviews: ReviewRow
  campaigns: CampaignRow
  campaign_entries: CampaignEntryRow
  locks: LockRow
  sessions: SessionTableRow
  audit: AuditRow
  checkpoints: CheckpointRow
  changes: ChangeTableRow
  notify_position: NotifyPositionRow
  notices: NoticeRow
  messages: MessageRow
  switched_off_receivers: SwitchedOffReceiverRow
  statement_questions: StatementQuestionRow
  database_users: DatabaseUserRow
}

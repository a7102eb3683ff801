import type { Answers } from './answers'

/** The origin of the app on this machine. */
export const originOf = ({ port }: Answers) => `http://localhost:${port}`

/** The files of the secrets. Vite's server serves what lies below the app's root, but none of these names in any version. */
export const secretFile = '.env.client_secret'
export const keysFile = '.env.session_keys'

/** Stands in the configuration until the app client is there. */
const noClient = 'REPLACE_WITH_CLIENT_ID'

/** `tokenhandler.yaml`. */
export function configuration(answers: Answers): string {
  const { region, userPoolId, domain, clientId, api, bucket } = answers
  const lines = [
    '# The token handler on this machine, behind the development server of Vite, which is public_url.',
    `public_url: ${originOf(answers)}`,
    'provider:',
    `  issuer: https://cognito-idp.${region}.amazonaws.com/${userPoolId}`,
    domain && `  domain: ${domain}`,
    clientId ? `  client_id: "${clientId}"` : `  client_id: ${noClient}`,
    `  client_secret_file: ${secretFile}`,
    'session:',
    `  keys_file: ${keysFile}`,
    api && ['api:', '  routes:', '    - path: /api/', `      upstream: ${api}`].join('\n'),
    bucket && ['storage:', `  bucket: ${bucket}`, `  region: ${region}`].join('\n'),
  ]
  return lines.filter(Boolean).join('\n') + '\n'
}

/** `src/auth.ts`. */
export function authModule({ bucket }: Answers): string {
  if (!bucket) return `import { createAuth } from 'cognito-token-handler'\n\nexport const auth = createAuth()\n`
  return `import { createAuth } from 'cognito-token-handler'
import { createStorage } from 'cognito-token-handler/storage'

export const auth = createAuth()
export const storage = createStorage(auth)
`
}

const importLine = `import tokenHandler from 'cognito-token-handler/vite'\n`

/** `vite.config.ts` of an app that has none. The port is a fixed one, because it is in `public_url`. */
export function viteConfig(answers: Answers): string {
  return `import { defineConfig } from 'vite'
${importLine}
export default defineConfig({
  plugins: [tokenHandler()],
${serverLine(answers)}})
`
}

/** An existing configuration of Vite with the plugin. Undefined if it has it, `''` if it must be written by hand. */
export function withPlugin(config: string): string | undefined {
  if (config.includes('cognito-token-handler/vite')) return undefined
  if (/\bmodule\.exports\b/.test(config)) return '' // an import would make it another kind of module
  // Directives such as `/// <reference …>` count in comments before all statements only.
  const [comments] = /^(?:\s|\/\/.*|\/\*[^]*?\*\/)*/.exec(config)!
  const [before, after, ...more] = config.slice(comments.length).split(/(?<=\bplugins:\s*\[)/)
  return after === undefined || more.length > 0 ? '' : `${comments}${importLine}${before}tokenHandler(), ${after}`
}

/** Whether a configuration of Vite lets the app be at the port of `public_url` only. */
export function hasPort(config: string, { port }: Answers): boolean {
  const own = /\bport:\s*(\d+)/.exec(config)?.[1] ?? '5173' // Vite's own
  return own === port && /\bstrictPort:\s*true\b/.test(config)
}

/** The line of the port, for a configuration of Vite. */
export const serverLine = ({ port }: Answers) => `  server: { port: ${port}, strictPort: true },\n`

/** What to write into a configuration of Vite by hand. */
export const pluginLines = (answers: Answers) => `${importLine}
  plugins: [tokenHandler()], // beside your own
${serverLine(answers)}`

/** The commands of the AWS CLI, and what comes after them. */
export function commands(answers: Answers): string {
  const { region, userPoolId, clientId, bucket } = answers
  const origin = originOf(answers)
  const at = `--region ${region} --user-pool-id ${userPoolId}`
  const callbacks = [`${origin}/auth/callback`, `${origin}/auth/passkeys/done`]
  const logouts = [`${origin}/`, `${origin}/auth/logout/done`]
  const create = `# 1. The app client. It prints the id: write it into tokenhandler.yaml as client_id.
aws cognito-idp create-user-pool-client ${at} --client-name token-handler --generate-secret \\
  --allowed-o-auth-flows-user-pool-client --allowed-o-auth-flows code --allowed-o-auth-scopes openid email profile \\
  --supported-identity-providers COGNITO --enable-token-revocation --prevent-user-existence-errors ENABLED \\
  --callback-urls ${callbacks.join(' ')} \\
  --logout-urls ${logouts.join(' ')} \\
  --query UserPoolClient.ClientId --output text`
  const register = `# 1. Register at the app client ${clientId}, which must have a secret and the authorization code grant with openid, email and profile:
#    callback URLs  ${callbacks.join(' ')}
#    sign-out URLs  ${logouts.join(' ')}`
  const secret = `# 2. Its secret, for this machine only.
(umask 077; aws cognito-idp describe-user-pool-client ${at} --client-id ${clientId || noClient} \\
  --query UserPoolClient.ClientSecret --output text > ${secretFile})`
  const cors = { CORSRules: [{ AllowedOrigins: [origin], AllowedMethods: ['GET', 'PUT'], AllowedHeaders: ['*'], ExposeHeaders: ['ETag', 'x-amz-checksum-sha256'], MaxAgeSeconds: 3600 }] }
  const bucketRules = `# 3. The bucket's CORS rules, for this machine. The command replaces those that the bucket has.
aws s3api put-bucket-cors --region ${region} --bucket ${bucket} --cors-configuration '${JSON.stringify(cors)}'`
  const start = `# ${bucket ? 4 : 3}. Look over the configuration, start the token handler, and then the app.
./tokenhandler check
./tokenhandler
npm run dev`
  return [clientId ? register : create, secret, bucket && bucketRules, start].filter(Boolean).join('\n\n') + '\n'
}

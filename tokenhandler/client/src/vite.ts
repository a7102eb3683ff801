import { spawn } from 'node:child_process'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Plugin } from 'vite'

export interface TokenHandlerOptions {
  /** Where the service listens. The default is `http://localhost:8080`. */
  target?: string
  /** The prefixes that it serves, without slashes. The default is `auth`, `api` and `storage`. */
  paths?: string[]
  /** The service's binary: Vite's server starts it, and ends it at its own end. Without it the service must run already. */
  binary?: string
  /** The configuration of the binary. The default is `tokenhandler.yaml`. */
  config?: string
}

/** What Vite does not serve of the files below the app's root, unless a list of the app's own replaces that. */
const denied = ['.env', '.env.*', '*.{crt,pem,key,p12,pfx,cer,der}', '.npmrc', '.yarnrc.yml', '**/.git/**']

/**
 * Lets the app's development server pass the calls to the service on, WebSockets too. The browser then sees one origin, as in
 * production: the service's `public_url` is the development server's, and this says so when it is not.
 * Vite serves the files below the app's root, where the service's configuration and secrets may lie: it is told to refuse them.
 */
export default function tokenHandler(options: TokenHandlerOptions = {}): Plugin {
  const { target = 'http://localhost:8080', paths = ['auth', 'api', 'storage'], binary, config = 'tokenhandler.yaml' } = options
  return {
    name: 'cognito-token-handler',
    apply: 'serve',
    config: ({ server }) => ({
      server: {
        proxy: { [`^/(${paths.join('|')})/`]: { target, ws: true } },
        // Vite appends this to the app's own list. Without one it would replace Vite's.
        fs: { deny: [...(server?.fs?.deny ? [] : denied), 'session_keys', 'client_secret', 'tokenhandler.yaml', config.replace(/.*\//, '')] },
      },
    }),
    configureServer({ httpServer, config: { logger, server } }) {
      if (binary) {
        const child = spawn(binary, ['--config', config], { stdio: 'inherit' })
        child.on('error', (error) => logger.error(`${binary} does not start: ${error.message}`))
        httpServer?.once('close', () => child.kill())
      }
      httpServer?.once('listening', () => {
        const { port } = httpServer.address() as AddressInfo
        const own = `http${server.https ? 's' : ''}://localhost:${port}`
        publicURL(target, paths[0]!, new URL(own).host).then(
          (url) => url === own || logger.warn(explain(url, own)),
          () => logger.warn(`Nothing answers at ${target}. Start the token handler there, or set the plugin's target.`),
        )
      })
    },
  }
}

function explain(url: string | undefined, own: string): string {
  if (!url) return 'The token handler has not begun a login: look into its log.'
  return `The token handler's public_url is ${url}, but the app is at ${own}: logins would end there. Write public_url: ${own} into its configuration, and add ${own}/auth/callback to the app client's callback URLs.`
}

/** The origin to which a login would come back. It begins one, as a browser would, and asks again while the service starts. */
async function publicURL(target: string, auth: string, host: string, tries = 20): Promise<string | undefined> {
  try {
    return await loginOrigin(target, auth, host)
  } catch (error) {
    if (tries <= 1) throw error
    await new Promise((resolve) => setTimeout(resolve, 250))
    return publicURL(target, auth, host, tries - 1)
  }
}

function loginOrigin(target: string, auth: string, host: string): Promise<string | undefined> {
  const headers = { host, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  return new Promise((resolve, reject) => {
    get(`${target}/${auth}/login`, { headers }, ({ headers: { location = '' } }) => {
      const back = URL.canParse(location) && new URL(location).searchParams.get('redirect_uri')
      resolve(back ? new URL(back).origin : undefined)
    }).on('error', reject)
  })
}

import { registerSW } from 'virtual:pwa-register'
import { createAuth } from '/auth/client.js'

registerSW({ immediate: true })
window.auth = createAuth()

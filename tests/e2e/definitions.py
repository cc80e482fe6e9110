"""The integrations of these tests. `KEY` becomes a key that no other test uses."""

ROAD = """\
schema: flowgraft/v1
key: KEY
name: Road KEY
labels: [Road]
config:
  - page: Connect
    fields:
      - {key: shop, type: connection, connection: http/bearer, label: Shop}
      - {key: endpoint, type: string}
      - {key: pin, type: string, secret: true, default: none}
flows:
  - key: orders
    name: Orders
    trigger: {type: webhook, tags: {order_id: "{{ trigger.body.id }}"}}
    steps:
      - key: order
        name: Fetch the order
        action: http.get
        connection: shop
        inputs: {url: "{{ config.endpoint }}/order", headers: {x-pin: "{{ config.pin }}"}}
      - {key: say, name: Say it, action: log.write, inputs: {message: "Order {{ trigger.body.id }}", level: warn}}
      - key: lines
        name: Each line
        loop: {over: "{{ steps.order.body.lines }}"}
        steps:
          - key: ship
            name: Tell the warehouse
            action: http.post
            connection: shop
            inputs:
              url: "{{ config.endpoint }}/ship"
              json: {sku: "{{ loop.item.sku }}", note: "{{ trigger.body.note }}"}
"""

CALL = """\
schema: flowgraft/v1
key: KEY
name: Call KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: call
    name: Call
    trigger: {type: webhook, tags: {order_id: "{{ trigger.body.id }}"}}
    retry: RETRY
    steps:
      - key: post
        name: Post it
        action: http.post
        inputs: {url: "{{ config.endpoint }}/post", json: {id: "{{ trigger.body.id }}"}}
        on_error: ON_ERROR
"""


def call(retry: str = "{retries: 0}", on_error: str = "{retries: 0}") -> str:
    """One flow with one request, and the retries that a test wants."""
    return CALL.replace("RETRY", retry).replace("ON_ERROR", on_error)


LIFE = """\
schema: flowgraft/v1
key: KEY
name: Life KEY
config:
  - page: Options
    fields:
      - {key: endpoint, type: string}
      - {key: every, type: schedule, default: {cron: "0 0 1 1 *", time_zone: Europe/Berlin}}
flows:
  - key: hello
    trigger: {type: deploy}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/deployed", json: {}}}]
  - key: goodbye
    trigger: {type: remove}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/removed", json: {}}}]
  - key: beat
    name: Beat
    trigger: {type: schedule, from: every}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/beat", json: {}}}]
  - key: in
    trigger: {type: webhook}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/in", json: {}}}]
"""

THREE = """\
schema: flowgraft/v1
key: KEY
name: Three KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: three
    trigger: {type: webhook}
    steps:
      - {key: first, action: http.post, inputs: {url: "{{ config.endpoint }}/first", json: {}}}
      - {key: second, action: http.post, inputs: {url: "{{ config.endpoint }}/second", json: {}}}
      - {key: third, action: http.post, inputs: {url: "{{ config.endpoint }}/third", json: {}}}
"""

# What the pages of docs/nouns/ talk about.
DOCUMENTED = """\
schema: flowgraft/v1
key: KEY
name: Order sync
labels: [erp, orders]
config:
  - page: Connect
    tagline: Where your shop lives
    fields:
      - {key: shop, type: connection, connection: http/bearer, label: Shop API, required: false}
      - {key: endpoint, type: string, default: "https://shop.example.com"}
      - {key: hook_secret, type: string, secret: true, required: false}
  - page: Options
    fields:
      - {key: region, type: picklist, options: [eu, us], default: eu}
      - {key: big_order, type: number, default: 1000}
      - {key: nightly, type: schedule, default: {cron: "0 3 * * *", time_zone: Europe/Berlin}}
flows:
  - key: order-created
    name: Order created
    trigger: {type: webhook, dedupe: {header: x-event-id}}
    steps:
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/orders", json: "{{ trigger.body }}"}}
  - key: nightly
    name: Nightly check
    trigger: {type: schedule, from: nightly}
    steps: [{key: hello, action: log.write, inputs: {message: Checking}}]
  - key: setup
    name: Set up
    trigger: {type: deploy}
    steps: [{key: hello, action: log.write, inputs: {message: Set up}}]
"""

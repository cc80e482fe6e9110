"""A message on its way to one target: tried until it arrives or nobody should try any more. The ledger says when."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.deliveries import DeliveryActivities
    from domain.messages import DELIVER_WORKFLOW
    from domain.sweeps import Delivered, DeliverInput
    from workflows import policies


@workflow.defn(name=DELIVER_WORKFLOW)
class DeliverWorkflow:
    """Its id is the delivery's."""

    @workflow.run
    async def run(self, message: DeliverInput) -> None:
        while True:
            delivered: Delivered = await workflow.execute_activity_method(
                DeliveryActivities.deliver, message, summary="Attempt", **policies.DELIVERY
            )
            if delivered.wait_seconds is None:
                return
            await workflow.sleep(delivered.wait_seconds)

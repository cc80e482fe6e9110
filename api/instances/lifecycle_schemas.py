"""What deploys look like on the wire."""

from typing import Self

from pydantic import BaseModel, Field

from domain.messages import DeployInput, DeployResult


class DeploymentRead(BaseModel):
    deployment_id: str
    version: int
    webhook_urls: dict[str, str] = Field(description="By the flow's key; they never change with a deploy")
    deploy_executions: list[str] = Field(description="Executions of the deploy-trigger flows, accepted, not ended")
    job_id: str = Field(description="Says later how these have ended")

    @classmethod
    def of(cls, message: DeployInput, result: DeployResult) -> Self:
        return cls(
            deployment_id=result.deployment_id,
            version=result.version,
            webhook_urls=result.webhook_urls,
            deploy_executions=result.deploy_executions,
            job_id=message.job_id,
        )

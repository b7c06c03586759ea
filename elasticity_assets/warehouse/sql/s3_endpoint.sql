-- A server other than AWS that speaks S3.
SET GLOBAL s3_endpoint = {host};
SET GLOBAL s3_use_ssl = {ssl};
SET GLOBAL s3_url_style = 'path'

-- A server other than AWS that speaks S3.
SET s3_endpoint = {host};
SET s3_use_ssl = {ssl};
SET s3_url_style = 'path'
